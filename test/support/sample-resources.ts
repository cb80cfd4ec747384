const apiVersion = 'quarterdeck.dev/v1alpha1';
type Metadata = { project?: string; labels?: Record<string, string> };
export const resource = (kind: string, name: string, spec: object, metadata: Metadata = {}) => ({
  apiVersion,
  kind,
  metadata: { name, ...metadata },
  spec,
});

export const project = (name: string, spec: object = {}) => resource('Project', name, spec);
export const server = (name = 'files', metadata?: Metadata) => resource('McpServer', name, { url: 'http://127.0.0.1:9100/mcp' }, metadata);
export const toolset = (name = 'read', servers = ['files'], metadata?: Metadata) =>
  resource('Toolset', name, { servers: servers.map((each) => ({ name: each })) }, metadata);
export const provider = (name = 'local') => resource('Provider', name, { kind: 'local' });
export const model = (name = 'small', spec: object = { quality: 'tiny', decoding: 'constrained' }) =>
  resource('Model', name, { routes: [{ provider: 'local', model: 'tiny' }], ...spec });
export const role = (name = 'reader', spec: object = {}) =>
  resource('AgentRole', name, { instructions: 'Read.', model: 'small', toolset: 'read', output: { type: 'object' }, ...spec });
export const fleet = (name = 'survey', spec: object = {}) =>
  resource('Fleet', name, {
    inputs: [
      { name: 'path', type: 'folder', volume: 'input' },
      { name: 'topic', type: 'text', default: 'all' },
    ],
    output: { volume: 'output', file: 'survey.md' },
    stages: [{ name: 'read', role: 'reader', input: { topic: { from: 'inputs.topic' } } }],
    ...spec,
  });

/** A fleet with everything it needs. */
export const wholeFleet = () => [server(), toolset(), provider(), model(), role(), fleet()];
