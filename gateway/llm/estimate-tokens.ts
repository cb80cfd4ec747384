/** Fewer bytes than a token usually has, so that an estimate is rather too high: prose has about four, code about three. */
const bytesPerToken = 3;
/** What a chat template puts around one message. */
const tokensPerMessage = 4;
/** What a large image counts as; its bytes say nothing about that. */
const tokensPerImage = 2000;

/** Tells about form, not content; `image_url` is counted by itself. */
const unread = new Set(['role', 'type', 'image_url']);

export const tokensOfBytes = (bytes: number): number => Math.ceil(bytes / bytesPerToken);

/** All texts in a value, however deep. */
export const textsOf = (value: unknown): string[] => {
  const texts: string[] = [];
  const visit = (inner: unknown): void => {
    if (typeof inner === 'string') texts.push(inner);
    else if (Array.isArray(inner)) for (const element of inner) visit(element);
    else if (typeof inner === 'object' && inner !== null)
      for (const [key, element] of Object.entries(inner)) if (!unread.has(key)) visit(element);
  };
  visit(value);
  return texts;
};

export const bytesOfTexts = (value: unknown): number => textsOf(value).reduce((sum, text) => sum + Buffer.byteLength(text), 0);

const imagesIn = (value: unknown): number => {
  if (typeof value !== 'object' || value === null) return 0;
  const own = 'image_url' in value ? 1 : 0;
  return Object.values(value).reduce((sum: number, inner) => sum + imagesIn(inner), own);
};

const schemaFields = ['tools', 'functions', 'response_format'] as const;

/** How many tokens a prompt has at most, as far as that can be known without the model's own tokenizer. */
export const estimatePromptTokens = (body: Readonly<Record<string, unknown>>): number => {
  const messages = body.messages as unknown[];
  const schemaBytes = schemaFields.reduce(
    (sum, field) => sum + (body[field] === undefined ? 0 : Buffer.byteLength(JSON.stringify(body[field]))),
    0,
  );
  return tokensOfBytes(bytesOfTexts(messages) + schemaBytes) + messages.length * tokensPerMessage + imagesIn(messages) * tokensPerImage;
};
