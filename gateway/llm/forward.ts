import { type Dispatcher, request as send } from 'undici';
import { isPlatformError, PlatformError } from '../../schema/errors.ts';
import { forgetSecret } from '../../store/secrets/references.ts';
import { maskerFor } from '../mask/create-masker.ts';
import { textsOf } from './estimate-tokens.ts';
import { type Answer, CallerLeft, type ModelCall, type ModelCallStep, required } from './model-call.ts';
import { providerRefusal, unavailable } from './provider-error.ts';
import { keyOwner, type ProviderTarget, providerBody, providerHeaders, providerTarget, type Route } from './provider-request.ts';
import { readAtMost } from './read-at-most.ts';
import { relayStream } from './relay-stream.ts';
import { relayWhole } from './relay-whole.ts';
import { spentOf } from './usage.ts';

const longestRefusal = 65_536;

/** The provider's answer up to its headers. The deadline covers looking up its name and connecting as well. */
const ask = async (call: ModelCall, target: ProviderTarget, body: string): Promise<Dispatcher.ResponseData> => {
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(), target.timeoutMs);
  try {
    return await send(target.url, {
      method: 'POST',
      headers: providerHeaders(target, required(call.chat, 'the request').isStreamed, call.trace),
      body,
      dispatcher: call.dispatcher,
      signal: AbortSignal.any([call.caller.signal, deadline.signal]),
      headersTimeout: 0,
      bodyTimeout: target.timeoutMs,
    });
  } catch (error) {
    if (call.caller.signal.aborted) throw new CallerLeft('the caller left before the provider answered');
    throw unavailable(target.name, deadline.signal.aborted ? `did not answer in ${target.timeoutMs / 1000} s` : 'cannot be reached', error);
  } finally {
    clearTimeout(timer);
  }
};

/** One route. `spent` is set as soon as the provider has begun to answer. */
const tryRoute = async (call: ModelCall, route: Route): Promise<Answer> => {
  const { gateway } = call;
  const chat = required(call.chat, 'the request');
  const model = required(call.model, 'the model');
  const provider = gateway.declared().find('Provider', model.metadata, route.provider);
  if (!provider)
    throw new PlatformError(
      'model_unavailable',
      `The model ${model.metadata.name} names the provider ${route.provider}, which does not exist; apply it.`,
    );
  const target = await providerTarget(provider, gateway.config, gateway.secrets);
  const body = providerBody(chat, route, model.spec);
  // a moment may have passed since the brake was looked at: the budget, or a route that did not answer
  await gateway.halts.check(required(call.underWay, 'the brake').what);
  call.isForwarded = true;
  Object.assign(call.facts, { provider: target.name, providerModel: route.model });
  const answer = await ask(call, target, body);
  if (answer.statusCode < 200 || answer.statusCode > 299) {
    // it may have been rotated: the next call reads it anew
    if (answer.statusCode === 401 && provider.spec.kind !== 'local' && provider.spec.apiKey)
      forgetSecret(provider.spec.apiKey, gateway.secrets, keyOwner(provider.metadata));
    const text = (await readAtMost(answer.body, longestRefusal).catch(() => Buffer.alloc(0))).toString();
    const hide = { secrets: target.key === undefined ? [] : [target.key], texts: textsOf([chat.body.messages, chat.body.tools]) };
    throw providerRefusal(target.name, { status: answer.statusCode, retryAfter: answer.headers['retry-after'], text }, hide);
  }
  return chat.isStreamed ? relayStream(call, route, target.name, answer) : relayWhole(call, route, target.name, answer);
};

/** What another route may do better: nothing has come from this one, and nothing was paid for. */
const isPassedOn = (call: ModelCall, error: unknown): boolean =>
  isPlatformError(error) && ['model_unavailable', 'secret_unavailable'].includes(error.code) && call.spent === undefined;

/** To the first route that answers; the next one is tried before the first token only. Aborted when the caller leaves. */
export const forward: ModelCallStep = async (call) => {
  const { routes, filter } = required(call.model, 'the model').spec;
  const mask = maskerFor(filter);
  if (mask) Object.assign(call, { mask, masked: {} });
  for (const [index, route] of routes.entries()) {
    try {
      return await tryRoute(call, route);
    } catch (error) {
      // the provider has read the prompt at least, whether or not it said so
      if (error instanceof CallerLeft && call.isForwarded)
        call.spent ??= spentOf({ inputTokens: call.chat?.promptTokens ?? 0, outputTokens: 0 }, route.price, true);
      if (!isPassedOn(call, error) || index === routes.length - 1) throw error;
      call.facts.routesFailed = index + 1;
      call.gateway.logger.warn(
        { requestId: call.requestId, provider: route.provider, err: error },
        'a model route failed; the next one is tried',
      );
    }
  }
  throw new PlatformError('internal', 'A model without routes was called.');
};
