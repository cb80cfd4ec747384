import type { ObjectRef } from '../../../schema/reconcile/object-ref.ts';
import type { KubeObject } from '../cluster/container-status.ts';
import type { Images } from '../cluster/program-facts.ts';
import type { KubeApiServer } from '../cluster/start-api-server.ts';
import type { WrongFix } from '../wrong-fixes/listed-fix.ts';

/** Where one case is played: a namespace of its own in the cluster, and one of somebody else beside it. */
export type Lane = {
  namespace: string;
  /** A namespace of other people, with something of theirs in it. */
  elsewhere: string;
  /** As an administrator with kubectl. */
  send: KubeApiServer['send'];
  images: Images;
  /** Writes a value where the declared source of a secret says it is. @returns the path */
  keep: (name: string, value: string) => string;
  /** The owner of the target declares other manifests. */
  redeclare: (manifests: KubeObject[]) => Promise<void>;
  /** A person says by the public api that an object is theirs for a while. */
  hold: (object: ObjectRef) => Promise<void>;
  /** Takes something away again when the case is over. */
  later: (undo: () => unknown) => void;
  /** The API server's own certificate and key, for what it has to trust. */
  tls: { cert: string; key: string };
};

/** How a case may end: mended, left as it is, or somebody was asked and nothing was changed. */
export type CaseEnd = 'fixed' | 'left-alone' | 'asked';

/**
 * One fault of the taxonomy (`field/reconciler.md` §2) on a real cluster. Nothing but `inject` knows what is wrong: symptoms come from what is
 * there.
 */
export type DriftCase = {
  id: string;
  fault: string;
  /** Programs that can be pulled. */
  programs: (lane: Lane) => Images;
  declare: (lane: Lane) => KubeObject[];
  /** More of the target's specification. */
  spec?: (lane: Lane) => object;
  /** Made by others before the target is there: `[path of its collection, object]`. */
  around?: (lane: Lane) => [path: string, object: KubeObject][];
  /** Rules that the case needs to come about, also where a model alone is to answer. */
  keepsRules?: readonly string[];
  inject: (lane: Lane) => Promise<void>;
  /** The row of the target's status that names this very fault; where nothing is wrong, none may be there. */
  seenAs: RegExp | 'nothing';
  /** Whether the fault shows in the cluster. */
  shows: (lane: Lane) => Promise<boolean>;
  right: {
    ends: readonly CaseEnd[];
    /** What a careful person would approve, and nothing else: each has at least these members. */
    operations?: (lane: Lane) => object[];
    /** What the right fix may change beside going back to what was: `Kind/name/path`. */
    changes?: RegExp;
    /** What changes by itself while somebody tries, whatever comes of it. */
    moves?: RegExp;
    /** Whether the cluster is as it should be afterwards; by default that the Deployment `web` is available. */
    isWell?: (lane: Lane) => Promise<boolean>;
  };
  wrong: (lane: Lane) => WrongFix;
};
