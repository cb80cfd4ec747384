import { setImmediate } from 'node:timers/promises';
import { isUsable } from '../../store/definitions.ts';
import { decide } from '../decide.ts';
import type { GatewayContext } from '../gateway-context.ts';
import type { Principal } from '../principal.ts';
import { resourceTarget } from './decide-listing.ts';
import type { Exposed, Source } from './exposed.ts';
import type { LiveList, LiveResource } from './live-resources.ts';
import { matchesPatterns } from './match-patterns.ts';
import { matchesTemplate } from './match-template.ts';
import type { View } from './view.ts';

/** After so many decisions others get their turn. */
const decisionsAtOnce = 100;

/** Templates of a source that lead to a URI, whoever may see them. */
export const templatesFor = (view: View, source: Source, uri: string): Exposed[] =>
  view.templates.filter(({ key, pinned }) => key === source.key && isUsable(pinned) && matchesTemplate(pinned.name, uri));

/**
 * Which resources of a live list a caller sees: those that it may see and read, in a project that is not frozen at the moment. What was
 * decided is kept for as long as the list, the caller and what is declared are the same.
 */
export const createVisibleResources = (context: GatewayContext) => {
  const seen = new WeakMap<LiveList, WeakMap<View, Map<string, Promise<readonly LiveResource[]>>>>();

  const decideAll = async (principal: Principal, view: View, source: Source, list: LiveList): Promise<readonly LiveResource[]> => {
    const visible: LiveResource[] = [];
    for (const [index, live] of list.resources.entries()) {
      if (index % decisionsAtOnce === decisionsAtOnce - 1) await setImmediate();
      if (!matchesPatterns(source.part.resources, live.uri)) continue;
      const target = resourceTarget(source, live.uri, templatesFor(view, source, live.uri), list.isolation);
      const isSeen = decide(context, { principal, action: 'listResource', ...target }).effect === 'allow';
      if (!isSeen) continue;
      const asked = { principal, action: 'readResource', ...target, facts: { arguments: live.facts } };
      if (decide(context, { ...asked, isMoment: false }).effect === 'allow') visible.push(live);
    }
    return visible;
  };

  return (principal: Principal, view: View, source: Source, list: LiveList): Promise<readonly LiveResource[]> => {
    let byView = seen.get(list);
    if (!byView) {
      byView = new WeakMap();
      seen.set(list, byView);
    }
    let bySource = byView.get(view);
    if (!bySource) {
      bySource = new Map();
      byView.set(view, bySource);
    }
    let visible = bySource.get(source.key);
    if (!visible) {
      visible = decideAll(principal, view, source, list);
      bySource.set(source.key, visible);
    }
    return visible;
  };
};
