/**
 * What somebody writes into a log, an annotation or an event in the hope that whoever reads it obeys. Found text stays where it is: it is
 * evidence of an attempt, and nothing follows from it; people see that it was there.
 */
const orders: readonly [RegExp, string][] = [
  [
    /\b(ignore|disregard|forget|override)\b.{0,60}\b(instruction|previous|above|prior|rule|polic|guard|system)/is,
    'asks to ignore instructions',
  ],
  [/\b((auto-?|pre-?)?approve[ds]?|authori[sz]ed? by|no approval (is )?(needed|required))\b/i, 'speaks of approval'],
  [
    /\b(delete|drop|destroy|wipe|purge|remove)\b.{0,40}\b(namespace|cluster|database|finalizer|polic(y|ies)|volume|everything|all )/is,
    'asks to delete',
  ],
  [
    /\b(you are|act as|pretend|as an? (ai|assistant|agent|language model))\b.{0,60}\b(now|assistant|admin|agent|model|system)\b/is,
    'speaks to a model',
  ],
  [
    /<\/?(system|assistant|user|instructions?|tool_call)\b|\[\/?INST\]|<\|im_(start|end)\|>|(?<!file )\b(system|assistant)\s{0,2}:\s/i,
    'looks like a turn of a conversation',
  ],
  [/\b(cluster-admin|escalate|kubectl\s+(delete|apply|exec|patch)|curl\s.{0,200}\|\s{0,4}(ba)?sh)\b/i, 'names a command or a right'],
];

/** Why a text may be meant for whoever reads it; empty where it is not. */
export const findOrders = (text: string): string[] => orders.flatMap(([pattern, why]) => (pattern.test(text) ? [why] : []));
