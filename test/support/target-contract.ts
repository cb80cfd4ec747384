import { beforeAll, describe, expect, test } from 'vitest';
import type { ApplyContext, TargetOf, TargetPort } from '../../reconcile/target-port.ts';
import { objectKey } from '../../schema/reconcile/object-ref.ts';
import type { ObservedObject } from '../../schema/reconcile/observation.ts';
import type { Operation } from '../../schema/reconcile/operation.ts';
import type { Precondition, StepOutcome } from '../../schema/reconcile/plan.ts';
import type { TargetSpecOf, TargetType } from '../../schema/resources/reconcile-target.ts';

/** A system behind an adapter, with one thing in it that is well and can be changed. */
export type ContractSubject<T extends TargetType> = {
  port: TargetPort<T>;
  target: TargetOf<TargetSpecOf<T>>;
  /** Something of that thing that can be done, and taken back out of its kept state. */
  operation: Operation;
  /** An operation that has no meaning for what it names. */
  senseless: Operation;
  /** Somebody else's hand, past the adapter: each time the thing is another one than before. */
  edit: () => Promise<void>;
  /** How many writes the system has seen. */
  writes: () => Promise<number>;
  /** Nobody can reach the system from now on, until what is returned is called. */
  goAway: () => Promise<() => Promise<void>>;
  /** The answer of the next write is lost on its way, until what is returned is called; absent where a write cannot lose its answer. */
  loseAnswer?: () => () => void;
};

const signal = (): AbortSignal => AbortSignal.timeout(60_000);
let operations = 0;

/**
 * What `TargetPort` promises, whatever is behind it: each adapter of the product, and the one in memory that other tests stand on, is held
 * to these.
 * @param title - of what these tests say of the adapter
 * @param open - a system with nothing spoiled, made once for all of these tests
 * @param options.losesAnswers - false where a write is done or not: rows of one transaction, found by their operation
 */
export const targetContract = <T extends TargetType>(
  title: string,
  open: () => Promise<ContractSubject<T>>,
  { losesAnswers = true }: { losesAnswers?: boolean } = {},
) =>
  describe(title, () => {
    let subject: ContractSubject<T>;
    beforeAll(async () => {
      subject = await open();
    });

    const see = async (): Promise<ObservedObject> => {
      const observation = await subject.port.observe(subject.target, signal());
      if (observation.status !== 'read') throw new Error(`${observation.reason}: ${observation.message}`);
      const found = observation.objects.find(({ ref }) => objectKey(ref) === objectKey(subject.operation.object));
      if (!found) throw new Error('the thing is not seen');
      return found;
    };
    const asSeen = ({ version, hash, uid }: ObservedObject): Precondition => ({ kind: 'version', version, hash, uid });
    const context = (precondition: Precondition, more: Partial<ApplyContext> = {}): ApplyContext => {
      operations += 1;
      return {
        operationId: `fix_${String(operations).padStart(16, '0')}/0`,
        ...{ precondition, signal: signal(), holdsFence: async () => true, readState: async () => undefined },
        ...more,
      };
    };
    const apply = (operation: Operation, applying: ApplyContext) => subject.port.apply(subject.target, operation, applying);
    const restore = (): Operation => ({ op: 'restore', object: subject.operation.object, stateDigest: 'd' });
    /** Takes back what was applied, as the loop does. */
    const undo = (before: ObservedObject, { version, hash, uid }: Extract<StepOutcome, { kind: 'applied' }>): Promise<StepOutcome> =>
      apply(restore(), context({ kind: 'version', version, hash, uid }, { readState: async () => before.state }));
    const applied = (outcome: StepOutcome): Extract<StepOutcome, { kind: 'applied' }> => {
      if (outcome.kind !== 'applied') throw new Error(`not applied: ${JSON.stringify(outcome)}`);
      return outcome;
    };

    test('to look, at what is and at what is to be, writes nothing and finds the same twice', async () => {
      const { port, target, writes } = subject;
      const before = await writes();
      const desired = await port.desired(target, signal());
      const seen = await see();
      expect(desired.status === 'read' && desired.objects.some(({ ref }) => objectKey(ref) === objectKey(seen.ref))).toBe(true);
      expect(await port.desired(target, signal())).toEqual(desired);
      expect((await see()).hash).toBe(seen.hash);
      expect(await writes()).toBe(before);
    });

    test('a dry-run says what would be otherwise, and writes nothing', async () => {
      const { port, target, operation, writes } = subject;
      const before = [await writes(), (await see()).hash];
      const dry = await port.dryRun(target, operation, signal());
      expect(dry.ok && dry.diff.length).toBeGreaterThan(0);
      expect([await writes(), (await see()).hash]).toEqual(before);
    });

    test('without the lock, or on something that has changed since, nothing is written', async () => {
      const { operation, writes } = subject;
      const before = await writes();
      const seen = await see();
      expect(await apply(operation, context(asSeen(seen), { holdsFence: async () => false }))).toMatchObject({
        ...{ kind: 'failed', reason: 'fenced' },
      });
      const other: Precondition = { kind: 'version', version: 'another', hash: 'another', uid: seen.uid };
      expect(await apply(operation, context(other))).toMatchObject({ kind: 'failed', reason: 'precondition' });
      expect(await apply(operation, context({ kind: 'absent' }))).toMatchObject({ kind: 'failed', reason: 'precondition' });
      expect(await writes()).toBe(before);
    });

    test('one operation id has one effect, and it is undone exactly', async () => {
      const { operation, writes } = subject;
      const [before, seen] = [await writes(), await see()];
      const applying = context(asSeen(seen));
      const done = applied(await apply(operation, applying));
      expect(done.hash).not.toBe(seen.hash);
      expect(await writes()).toBe(before + 1);
      // again, as after a kill: the thing is not as it was, and it is known whose doing that is
      expect((await apply(operation, { ...applying, isRetry: true })).kind, 'and so it can be undone').toBe('applied');
      expect(await writes()).toBe(before + 1);
      applied(await undo(seen, done));
      expect((await see()).hash).toBe(seen.hash);
    });

    test('what somebody did since is kept: the undo fails visibly', async () => {
      const { operation, edit, writes } = subject;
      const seen = await see();
      const done = applied(await apply(operation, context(asSeen(seen))));
      await edit();
      const [edited, before] = [await see(), await writes()];
      expect(await undo(seen, done)).toMatchObject({ kind: 'failed', reason: 'precondition' });
      expect((await see()).hash).toBe(edited.hash);
      expect(await writes()).toBe(before);
      // a person puts it back
      applied(await apply(restore(), context(asSeen(edited), { readState: async () => seen.state })));
    });

    test('what has no meaning is an answer and no exception', async () => {
      const { port, target, senseless, writes } = subject;
      const before = await writes();
      expect(await port.dryRun(target, senseless, signal())).toMatchObject({ ok: false });
      expect(await apply(senseless, context({ kind: 'none' }))).toMatchObject({ kind: 'failed' });
      expect(await writes()).toBe(before);
    });

    test('what cannot be reached is unknown and never missing, and nothing is done to it', async () => {
      const { port, target, operation, goAway, writes } = subject;
      const [before, seen] = [await writes(), await see()];
      const comeBack = await goAway();
      try {
        expect(await port.observe(target, signal())).toMatchObject({ status: 'unknown', message: expect.stringMatching(/./) });
        expect(await port.dryRun(target, operation, signal())).toMatchObject({ ok: false, reason: 'unreachable' });
        expect(await apply(operation, context(asSeen(seen)))).toMatchObject({ kind: 'unknown' });
      } finally {
        await comeBack();
      }
      expect(await writes()).toBe(before);
      expect((await see()).hash).toBe(seen.hash);
    });

    test('whose signal is aborted hears that, and nothing is written', async () => {
      const { operation, writes } = subject;
      const [before, seen] = [await writes(), await see()];
      const gone = AbortSignal.abort(new Error('given up'));
      await expect(apply(operation, context(asSeen(seen), { signal: gone }))).rejects.toThrow('given up');
      expect(await writes()).toBe(before);
    });

    if (!losesAnswers) return;
    test('a write whose answer is lost has one effect', async () => {
      const { operation, loseAnswer, writes } = subject;
      if (!loseAnswer) throw new Error('nothing loses an answer here');
      const [before, seen] = [await writes(), await see()];
      const applying = context(asSeen(seen));
      const stop = loseAnswer();
      const first = await apply(operation, applying);
      stop();
      expect(['applied', 'unknown']).toContain(first.kind);
      const done = applied(await apply(operation, applying));
      expect(await writes()).toBe(before + 1);
      applied(await undo(seen, done));
      expect((await see()).hash).toBe(seen.hash);
    });
  });
