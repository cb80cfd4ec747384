import { createHash } from 'node:crypto';
import { markOfItem } from './changed-lists.ts';
import type { Exposed } from './exposed.ts';
import { isBehind, type SearchTool } from './search-tools.ts';
import { createToolIndex, type ToolIndex } from './tool-index.ts';
import type { View } from './view.ts';

/** The tools of one toolset that one caller may use; the mark is the same for all who may use the same. */
type Behind = { items: readonly Exposed[]; mark: string };

const behind = new WeakMap<readonly Exposed[], Map<string, Behind>>();

const behindOf = (view: View, tool: SearchTool): Behind => {
  const list = view.list('tool');
  let ofList = behind.get(list);
  if (!ofList) {
    ofList = new Map();
    behind.set(list, ofList);
  }
  const key = `${tool.tenancy.org}/${tool.tenancy.project}/${tool.toolset}`;
  let known = ofList.get(key);
  if (!known) {
    const items = list.filter(isBehind(tool));
    known = { items, mark: createHash('sha256').update(items.map(markOfItem).join('\n')).digest('base64url') };
    ofList.set(key, known);
  }
  return known;
};

/** An index of a thousand tools takes a while to make and some megabytes to keep, so callers who may use the same share one. */
const mostIndexes = 64;
const indexes = new Map<string, Promise<ToolIndex>>();

const indexOf = ({ items, mark }: Behind): Promise<ToolIndex> => {
  const index = indexes.get(mark) ?? createToolIndex(items);
  // asked last, forgotten last
  indexes.delete(mark);
  indexes.set(mark, index);
  const oldest = indexes.size > mostIndexes ? indexes.keys().next().value : undefined;
  if (oldest !== undefined) indexes.delete(oldest);
  return index;
};

/** Tools of a toolset that fit a query, best first, among those that the caller may use: all of them, and how many there are to choose from. */
export const foundTools = async (view: View, tool: SearchTool, query: string): Promise<{ found: readonly Exposed[]; offered: number }> => {
  const known = behindOf(view, tool);
  const search = await indexOf(known);
  return { found: search(query).flatMap((place) => known.items[place] ?? []), offered: known.items.length };
};
