/** Which forms of an answer a client reads. */
export type AcceptedAnswers = { json: boolean; stream: boolean };

const remembered = new Map<string, AcceptedAnswers>();
const both: AcceptedAnswers = { json: true, stream: true };

const read = (accept: string): AcceptedAnswers => {
  const types = new Set<string>();
  for (const part of accept.toLowerCase().split(',')) {
    const [type = '', ...parameters] = part.split(';').map((piece) => piece.trim());
    // `q=0` says: not this one
    if (!parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter))) types.add(type);
  }
  const accepts = (type: string): boolean => ['*/*', `${type.split('/')[0]}/*`, type].some((range) => types.has(range));
  return { json: accepts('application/json'), stream: accepts('text/event-stream') };
};

/** Reads the header `Accept`; a client that names nothing reads anything (RFC 9110 §12.5.1). Clients send few different ones. */
export const acceptedAnswers = (accept: string | undefined): AcceptedAnswers => {
  if (!accept) return both;
  const known = remembered.get(accept);
  if (known) return known;
  const answers = read(accept);
  if (remembered.size < 100 && accept.length < 256) remembered.set(accept, answers);
  return answers;
};
