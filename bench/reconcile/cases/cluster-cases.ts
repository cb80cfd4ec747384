import type { DriftCase } from './drift-case.ts';
import { heldHotFix } from './g12-held-hot-fix.ts';
import { deletedDeployment } from './k01-deleted-deployment.ts';
import { editedImage } from './k02-edited-image.ts';
import { lostTag } from './k03-lost-tag.ts';
import { expiredPullSecret } from './k04-expired-pull-secret.ts';
import { renamedKey } from './k05-renamed-key.ts';
import { outOfMemory } from './k06-out-of-memory.ts';
import { otherTransport } from './k07-other-transport.ts';
import { wrongSelector } from './k08-wrong-selector.ts';
import { blockedDns } from './k09-blocked-dns.ts';
import { missingRight } from './k10-missing-right.ts';
import { tooManyReplicas } from './k11-too-many-replicas.ts';
import { stuckFinalizer } from './k12-stuck-finalizer.ts';
import { wrongStorageClass } from './k13-wrong-storage-class.ts';
import { noRoom } from './k14-no-room.ts';
import { rewritingWebhook } from './k15-rewriting-webhook.ts';
import { autoscaled } from './k16-autoscaled.ts';

/** The faults of clusters, in the order of the taxonomy, and what people hold in one. */
export const clusterCases: readonly DriftCase[] = [
  deletedDeployment,
  editedImage,
  lostTag,
  expiredPullSecret,
  renamedKey,
  outOfMemory,
  otherTransport,
  wrongSelector,
  blockedDns,
  missingRight,
  tooManyReplicas,
  stuckFinalizer,
  wrongStorageClass,
  noRoom,
  rewritingWebhook,
  autoscaled,
  heldHotFix,
];
