import type { ProvenRequest } from '../../policy/check-token-proof.ts';
import type { HttpRequest } from '../front/http-exchange.ts';

/** What a proof of possession has to be about: this request, at the URL that was called. */
export const carrierOf = ({ headers: { dpop }, method = '' }: Pick<HttpRequest, 'headers' | 'method'>, url: string): ProvenRequest => ({
  proof: typeof dpop === 'string' ? dpop : undefined,
  method,
  urls: [url],
});
