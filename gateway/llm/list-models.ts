import type { StoredResource } from '../../schema/resource.ts';
import { authenticate } from './authenticate.ts';
import { type Answer, decided, type ModelCall, type ModelCallStep, required, runSteps } from './model-call.ts';
import { record } from './record.ts';
import { findVisibleModel, listVisibleModels } from './visible-models.ts';

/** A model in the form of this API. @see https://platform.openai.com/docs/api-reference/models/object */
const rendered = (name: string, { metadata, createdAt }: StoredResource<'Model'>) => ({
  id: name,
  object: 'model',
  created: Math.floor(Date.parse(createdAt) / 1000),
  owned_by: `${metadata.org}/${metadata.project}`,
});

const answer = (value: unknown): Answer => ({ kind: 'whole', body: Buffer.from(JSON.stringify(value)) });

/** The models that the caller may see: the one that was named, else all of them. */
const list: ModelCallStep = async (call) => {
  const { gateway, name } = call;
  const principal = required(call.principal, 'the principal');
  if (name !== undefined) {
    const { model, decision } = findVisibleModel(gateway, principal, name);
    call.model = model;
    decided(call, decision);
    return answer(rendered(name, model));
  }
  const models = listVisibleModels(gateway, principal);
  call.facts.listed = models.length;
  return answer({ object: 'list', data: models.map((visible) => rendered(visible.name, visible.model)) });
};

export const listModelsSteps = [record, authenticate, list] as const satisfies readonly ModelCallStep[];

/** @throws {PlatformError} */
export const listModels = (call: ModelCall): Promise<Answer> => runSteps(listModelsSteps, call);
