import { describe, expect, test } from 'vitest';
import { buildSeccompFilter } from '../../runtime/bubblewrap/seccomp-filter.ts';
import { seccompArchitectures } from '../../runtime/bubblewrap/syscall-numbers.ts';

const allow = 0x7fff0000;
const kill = 0x80000000;
const eperm = 0x00050001;
const enosys = 0x00050026;

/** A classic BPF machine of the few instructions the filter may use, as the kernel runs them on `struct seccomp_data`. */
const judge = (program: Buffer, call: { number: number; architecture: number; firstArgument?: number }): number => {
  const data = Buffer.alloc(64);
  data.writeUInt32LE(call.number, 0);
  data.writeUInt32LE(call.architecture, 4);
  data.writeUInt32LE((call.firstArgument ?? 0) >>> 0, 16);
  let accumulator = 0;
  for (let at = 0; at < program.length; ) {
    const [code, ifTrue, ifFalse, value] = [
      program.readUInt16LE(at),
      program[at + 2] ?? 0,
      program[at + 3] ?? 0,
      program.readUInt32LE(at + 4),
    ];
    at += 8;
    if (code === 0x06) return value;
    if (code === 0x20) accumulator = data.readUInt32LE(value);
    else if (code === 0x15) at += 8 * (accumulator === value ? ifTrue : ifFalse);
    else if (code === 0x35) at += 8 * (accumulator >= value ? ifTrue : ifFalse);
    else if (code === 0x45) at += 8 * ((accumulator & value) !== 0 ? ifTrue : ifFalse);
    else throw new Error(`unknown instruction ${code}`);
  }
  throw new Error('ran off the end');
};

describe.each(Object.entries(seccompArchitectures))('on %s', (name, architecture) => {
  const program = buildSeccompFilter(architecture);
  const answer = (number: number, firstArgument?: number) => judge(program, { number, architecture: architecture.audit, firstArgument });

  test.each(Object.entries(architecture.denied))('%s (%i) is refused', (_call, number) => {
    expect(answer(number)).toBe(eperm);
  });

  test('every other call passes', () => {
    const special = new Set([...Object.values(architecture.denied), architecture.clone3]);
    for (let number = 0; number < 600; number += 1) if (!special.has(number)) expect([number, answer(number)]).toEqual([number, allow]);
  });

  test('clone3 looks unknown, so that libraries fall back to clone', () => {
    expect(answer(architecture.clone3)).toBe(enosys);
  });

  test('clone makes threads and processes but no namespaces', () => {
    const thread = 0x003d0f00;
    const childWithSignal = 0x01200011;
    expect(answer(architecture.clone, thread)).toBe(allow);
    expect(answer(architecture.clone, childWithSignal)).toBe(allow);
    for (const flag of [0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000])
      expect(answer(architecture.clone, flag | 17)).toBe(eperm);
  });

  test('sockets of AF_ALG and AF_VSOCK are refused, those of AF_UNIX and AF_INET pass', () => {
    expect([38, 40, 1, 2].map((family) => answer(architecture.socket, family))).toEqual([eperm, eperm, allow, allow]);
  });

  test('another architecture and the x32 numbers kill the process', () => {
    const foreign = Object.entries(seccompArchitectures).find(([other]) => other !== name)?.[1].audit ?? 0;
    expect(judge(program, { number: 0, architecture: foreign })).toBe(kill);
    expect(judge(program, { number: 0, architecture: 0x40000003 })).toBe(kill);
    expect(answer(0x40000000 + 165)).toBe(kill);
  });
});
