import type { ObservedDefinition } from '../../store/definition.ts';
import type { DefinitionKind, JudgeDefinitions } from '../../store/definitions.ts';
import { findOrdersAboutOthers } from './find-instructions.ts';
import { mixesScripts, nameSkeletons } from './name-skeleton.ts';
import { textsOf } from './texts-of.ts';

type Named = { server: string; name: string };

/** Names by skeleton. */
const skeletonIndex = (named: readonly Named[]): ReadonlyMap<string, readonly Named[]> => {
  const index = new Map<string, Named[]>();
  for (const each of named)
    for (const [which, skeleton] of nameSkeletons(each.name).entries()) {
      const key = `${which}/${skeleton}`;
      const there = index.get(key);
      if (there) there.push(each);
      else index.set(key, [each]);
    }
  return index;
};

const sayAlike = (server: string, name: string, index: ReadonlyMap<string, readonly Named[]>): string[] => {
  const twins = nameSkeletons(name).flatMap((skeleton, which) => index.get(`${which}/${skeleton}`) ?? []);
  // the very same name at another server is no deceit: toolsets keep the two apart
  const twin = twins.find((each) => each.name !== name);
  if (!twin) return [];
  return [`the name looks like ${twin.name}${twin.server === server ? '' : ` of the server ${twin.server}`}`];
};

/**
 * Finds what shows only beside the other definitions of the project: names that look like one that was there before (refused), several
 * definitions under one name (refused), and orders about tools of other servers (told). Who came first keeps the name; of two that come
 * together neither does.
 */
export const judgeDefinitions: JudgeDefinitions = (server, observed, present) => {
  const toolsOfOthers = new Map(present.filter((row) => row.kind === 'tool' && row.server !== server).map((row) => [row.name, row.server]));
  const ownTools = new Set((observed.tool ?? []).map(({ name }) => name));
  for (const name of ownTools) toolsOfOthers.delete(name);

  const judge = (kind: DefinitionKind, all: readonly ObservedDefinition[]): ObservedDefinition[] => {
    const ofKind = present.filter((row) => row.kind === kind);
    const approved = new Set(ofKind.filter((row) => row.server === server && row.approvedHash !== '').map(({ name }) => name));
    const before = skeletonIndex(ofKind.filter((row) => row.approvedHash !== '' || row.issues.length === 0));
    const together = skeletonIndex(all.map(({ name }) => ({ server, name })));
    const sayTwins = (name: string): string[] => {
      // URIs are no names that a person reads letter by letter
      if (kind === 'template') return [];
      return [...sayAlike(server, name, before), ...(approved.has(name) ? [] : sayAlike(server, name, together))].slice(0, 1);
    };
    const byName = Map.groupBy(all, ({ name }) => name);
    return [...byName.entries()].flatMap(([name, same]) => {
      const [definition] = same;
      if (!definition) return [];
      const issues = [
        ...definition.issues,
        ...(same.some(({ hash }) => hash !== definition.hash) ? [`the server offers ${same.length} different ones under this name`] : []),
        ...(mixesScripts(name) ? ['the name mixes Latin letters with letters that look like them'] : []),
        ...sayTwins(name),
      ];
      const warnings = [...definition.warnings, ...findOrdersAboutOthers(textsOf(definition.definition), toolsOfOthers)];
      return [{ ...definition, issues, warnings }];
    });
  };
  return Object.fromEntries(Object.entries(observed).map(([kind, all]) => [kind, judge(kind as DefinitionKind, all)]));
};
