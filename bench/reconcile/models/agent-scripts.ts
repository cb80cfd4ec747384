/** What an agent asks its model: the conversation so far. */
export type AskedByAgent = { messages: { role: string; content?: unknown }[] };
/** A step of an agent: calls of tools, or its answer. */
export type AgentSays = { calls: { name: string; arguments: object }[] } | { answer: object };
/** Plays the model of a project's agents; it may take its time. */
export type AgentScript = (asked: AskedByAgent) => Promise<AgentSays> | AgentSays;

/** A message of a chat completion. */
export const messageOf = (says: AgentSays): object =>
  'answer' in says
    ? { role: 'assistant', content: JSON.stringify(says.answer) }
    : {
        role: 'assistant',
        content: null,
        tool_calls: says.calls.map(({ name, arguments: given }, index) => ({
          ...{ id: `call_${index}`, type: 'function' },
          function: { name, arguments: JSON.stringify(given) },
        })),
      };
