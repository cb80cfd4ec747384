import type { SeccompArchitecture } from './syscall-numbers.ts';

/** Instruction codes of classic BPF that the filter needs. @see linux/bpf_common.h */
const code = { loadWord: 0x20, jumpIfEqual: 0x15, jumpIfAtLeast: 0x35, jumpIfAnyBit: 0x45, answer: 0x06 } as const;
/** What the kernel does with a call. @see linux/seccomp.h */
const verdict = { allow: 0x7fff0000, kill: 0x80000000, eperm: 0x00050001, enosys: 0x00050026 } as const;
/** Offsets in `struct seccomp_data`; the low half of an argument comes first on both architectures. */
const offset = { call: 0, architecture: 4, firstArgument: 16 } as const;

/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET. */
const namespaceFlags = 0x7e020000;
/** On x86-64 the calls of the x32 ABI carry this bit; they would pass a filter that knows the plain numbers only. */
const x32Bit = 0x40000000;
/** Socket families that no network namespace confines or that reach rarely used kernel code: AF_ALG, AF_VSOCK. */
const deniedFamilies = [38, 40];

/** One instruction: jumps count instructions to skip. */
type Instruction = { code: number; ifTrue: number; ifFalse: number; value: number };

const load = (at: number): Instruction => ({ code: code.loadWord, ifTrue: 0, ifFalse: 0, value: at });
const answer = (value: number): Instruction => ({ code: code.answer, ifTrue: 0, ifFalse: 0, value });
/** `test, then` where a failed test skips `then`. */
const when = (test: number, value: number, then: Instruction[]): Instruction[] => [
  { code: test, ifTrue: 0, ifFalse: then.length, value },
  ...then,
];

const assemble = (program: Instruction[]): Buffer => {
  const bytes = Buffer.alloc(program.length * 8);
  for (const [index, instruction] of program.entries()) {
    bytes.writeUInt16LE(instruction.code, index * 8);
    bytes.writeUInt8(instruction.ifTrue, index * 8 + 2);
    bytes.writeUInt8(instruction.ifFalse, index * 8 + 3);
    bytes.writeUInt32LE(instruction.value, index * 8 + 4);
  }
  return bytes;
};

/**
 * Builds the system call filter of the cage as a classic BPF program, the form `bwrap --seccomp FD` reads.
 * A foreign architecture or ABI kills the process; the listed calls, new namespaces and unconfined socket families answer EPERM;
 * `clone3` answers ENOSYS, because its flags lie in memory a filter cannot read, and libraries then fall back to `clone`. All else passes.
 * @returns little-endian `struct sock_filter` records, eight bytes each
 * @see https://www.kernel.org/doc/html/latest/userspace-api/seccomp_filter.html
 */
export const buildSeccompFilter = (architecture: SeccompArchitecture): Buffer =>
  assemble([
    load(offset.architecture),
    { code: code.jumpIfEqual, ifTrue: 1, ifFalse: 0, value: architecture.audit },
    answer(verdict.kill),
    load(offset.call),
    ...when(code.jumpIfAtLeast, x32Bit, [answer(verdict.kill)]),
    ...when(code.jumpIfEqual, architecture.clone3, [answer(verdict.enosys)]),
    ...Object.values(architecture.denied).flatMap((call) => when(code.jumpIfEqual, call, [answer(verdict.eperm)])),
    ...when(code.jumpIfEqual, architecture.clone, [
      load(offset.firstArgument),
      ...when(code.jumpIfAnyBit, namespaceFlags, [answer(verdict.eperm)]),
      answer(verdict.allow),
    ]),
    ...when(code.jumpIfEqual, architecture.socket, [
      load(offset.firstArgument),
      ...deniedFamilies.flatMap((family) => when(code.jumpIfEqual, family, [answer(verdict.eperm)])),
    ]),
    answer(verdict.allow),
  ]);
