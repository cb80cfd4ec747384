import { PlatformError } from '../../schema/errors.ts';

const stateAtProvider = 'it keeps state at the provider, where no policy looks and another route does not have it';
const otherModel = 'the alias decides which model answers, and where';
const toolAtProvider = 'it runs a tool at the provider, where no policy decides';

/** Fields that are refused by name, and why; null, false and empty values ask for nothing and pass. */
const refusedFields: Readonly<Record<string, string>> = {
  store: stateAtProvider,
  previous_response_id: stateAtProvider,
  conversation: stateAtProvider,
  metadata: stateAtProvider,
  background: stateAtProvider,
  // routers and proxies that speak this dialect choose the model, the address or the key by these
  models: otherModel,
  fallbacks: otherModel,
  route: otherModel,
  provider: otherModel,
  custom_llm_provider: otherModel,
  api_base: otherModel,
  base_url: otherModel,
  api_key: otherModel,
  web_search_options: toolAtProvider,
  search_parameters: toolAtProvider,
  plugins: toolAtProvider,
};

/** Fields that are read here; a provider must not find another spelling of one of them. */
const judgedFields = new Set([
  ...Object.keys(refusedFields),
  'model',
  'messages',
  'stream',
  'stream_options',
  'max_tokens',
  'max_completion_tokens',
  'n',
  'temperature',
  'tools',
  'functions',
  'response_format',
]);

const asksForNothing = (value: unknown): boolean =>
  value === undefined ||
  value === null ||
  value === false ||
  value === '' ||
  (typeof value === 'object' && Object.keys(value).length === 0);

const refuse = (field: string, reason: string): PlatformError =>
  new PlatformError('request_invalid', `The field \`${field}\` cannot be used here: ${reason}. Leave it out.`, {
    facts: { reason: 'field_refused' },
  });

/**
 * Refuses fields by which a call would go around its alias, its limits or its policies.
 * @throws {PlatformError} `request_invalid`, naming the field
 */
export const refuseFields = (body: Readonly<Record<string, unknown>>): void => {
  for (const [field, value] of Object.entries(body)) {
    // some parsers match names without regard to case (Go's encoding/json, which also folds ſ and the Kelvin sign)
    const folded = field.normalize('NFKC').toLowerCase();
    if (folded !== field && judgedFields.has(folded)) throw refuse(field.slice(0, 64), `write it \`${folded}\``);
    const reason = Object.hasOwn(refusedFields, field) ? refusedFields[field] : undefined;
    if (reason !== undefined && !asksForNothing(value)) throw refuse(field, reason);
  }
  const tools = Array.isArray(body.tools) ? (body.tools as unknown[]) : [];
  for (const tool of tools) {
    const type = (tool as { type?: unknown } | null)?.type ?? 'function';
    if (type !== 'function' && type !== 'custom')
      throw refuse('tools', `${toolAtProvider}; only tools of type \`function\` and \`custom\` pass`);
  }
};
