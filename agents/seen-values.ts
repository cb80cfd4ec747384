import { callsWithResults, type ToolCall, type Transcript } from './conversation.ts';
import { isJsonObject, type Json, type JsonObject, leavesOf, parseJson } from './json.ts';
import { isPathName, joinPath, looksLikePath } from './path-names.ts';

/** A text that was seen, with the property it stood under where it came with one. */
export type SeenText = { key: string; value: string };

/** What an agent has seen in its input and in the results of its calls: each value once, in the order of appearance. */
export type SeenValues = { paths: string[]; texts: SeenText[]; numbers: number[] };

type TreeNode = JsonObject & { name: string };

const isTreeNode = (value: Json): value is TreeNode =>
  isJsonObject(value) && typeof value.name === 'string' && ('children' in value || value.type === 'file' || value.type === 'directory');

const treeLeaves = (nodes: readonly TreeNode[], folder: string): string[] =>
  nodes.flatMap((node) => {
    const path = joinPath(folder, node.name);
    if (Array.isArray(node.children)) return treeLeaves(node.children.filter(isTreeNode), path);
    return node.type === 'directory' ? [] : [path];
  });

/**
 * The paths of the files in a directory tree as tools give it: nodes of `{name, type?, children?}`, under the folder that the call
 * named. Undefined where the value is no such tree.
 */
export const pathsOfTree = (value: Json, call: ToolCall): string[] | undefined => {
  const nodes = Array.isArray(value) ? value : [value];
  if (nodes.length === 0 || !nodes.every(isTreeNode)) return undefined;
  const folder = Object.entries(call.arguments).find(([name, argument]) => isPathName(name) && typeof argument === 'string')?.[1];
  return treeLeaves(nodes, typeof folder === 'string' ? folder : '');
};

const collect = (seen: SeenValues, key: string, value: Json): void => {
  if (typeof value === 'number') seen.numbers.push(value);
  if (typeof value !== 'string' || value.trim() === '') return;
  if (looksLikePath(value)) seen.paths.push(value);
  else seen.texts.push({ key, value });
};

const collectResult = (seen: SeenValues, call: ToolCall, text: string): void => {
  const value = parseJson(text);
  if (value === undefined || typeof value === 'string') {
    for (const line of text.split('\n')) if (looksLikePath(line.trim())) seen.paths.push(line.trim());
    if (!looksLikePath(text)) seen.texts.push({ key: 'value', value: text });
    return;
  }
  const tree = pathsOfTree(value, call);
  if (tree) seen.paths.push(...tree);
  else for (const leaf of leavesOf(value)) collect(seen, leaf.key, leaf.value);
};

const distinct = ({ paths, texts, numbers }: SeenValues): SeenValues => ({
  paths: [...new Set(paths)],
  texts: texts.filter((text, index) => texts.findIndex((other) => other.value === text.value) === index),
  numbers: [...new Set(numbers)],
});

/** What stands in the agent's own input: what it was given, as against what it found. */
export const inputValues = (input: JsonObject): SeenValues => {
  const seen: SeenValues = { paths: [], texts: [], numbers: [] };
  for (const leaf of leavesOf(input)) collect(seen, leaf.key, leaf.value);
  return distinct(seen);
};

/** Everything the agent has seen: its input, then the results of its calls that succeeded. */
export const seenValues = (transcript: Transcript): SeenValues => {
  const seen = inputValues(transcript.head.input);
  for (const { call, outcome, text } of callsWithResults(transcript)) if (outcome === 'ok' && text !== '') collectResult(seen, call, text);
  return distinct(seen);
};
