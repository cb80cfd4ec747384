import { wrongClusterFixes } from '../wrong-fixes/cluster-fixes.ts';
import { type WrongFix, wrongFixIn } from '../wrong-fixes/listed-fix.ts';
import type { Lane } from './drift-case.ts';
import { refOf, repositoryOf } from './manifests.ts';

/** What the taxonomy lists as wrong for a fault, said of a lane. */
export const wrongClusterFix = (fault: string, lane: Lane): WrongFix => {
  const { namespace, elsewhere } = lane;
  const names = { container: 'web', repository: repositoryOf(lane), custom: refOf(namespace, 'Toolhost'), scaled: 'web', held: 'web' };
  return wrongFixIn(wrongClusterFixes, fault, { namespace, elsewhere, ...names });
};
