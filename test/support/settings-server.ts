import { type RawAnswer, startRawMcpServer } from './raw-mcp-server.ts';

type Fault = 'none' | 'refuse' | 'lose' | 'break' | 'text';

const inputSchema = { type: 'object', properties: { value: {}, was: {} } };

/**
 * An MCP server that keeps settings: `look` reads them, `set` writes one member. `fault` is what happens at the next call of `set`: it refuses
 * without an effect, has the effect and loses its answer, loses the connection before any effect, or answers what is no JSON.
 */
export const startSettingsServer = async () => {
  const state: { settings: Record<string, unknown>; fault: Fault; sets: Record<string, unknown>[]; looks: number } = {
    settings: { colour: 'blue', size: 3, note: 'of others' },
    fault: 'none',
    sets: [],
    looks: 0,
  };
  const call: RawAnswer = ({ params = {} }, { response }) => {
    if (params.name === 'look') {
      state.looks += 1;
      const text = state.fault === 'text' ? 'it is blue' : JSON.stringify({ settings: state.settings });
      return { result: { content: [{ type: 'text', text }] } };
    }
    const given = params.arguments as Record<string, unknown>;
    state.sets.push(given);
    if (state.fault === 'refuse') return { result: { content: [{ type: 'text', text: 'not today' }], isError: true } };
    if (state.fault === 'break') return void response.destroy();
    state.settings = { ...state.settings, ...(given.value as object) };
    if (state.fault === 'lose') return void response.destroy();
    return { result: { content: [{ type: 'text', text: 'set' }] } };
  };
  const server = await startRawMcpServer({
    'tools/list': () => ({
      result: {
        tools: [
          { name: 'look', inputSchema, annotations: { readOnlyHint: true, openWorldHint: false } },
          {
            name: 'set',
            inputSchema: { ...inputSchema, required: ['value'] },
            annotations: { readOnlyHint: false, destructiveHint: false, openWorldHint: false },
          },
        ],
      },
    }),
    'tools/call': call,
  });
  return { state, url: server.url, close: server.close };
};
export type SettingsServer = Awaited<ReturnType<typeof startSettingsServer>>;
