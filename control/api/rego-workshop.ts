import type { RegoPool } from '../../policy/rego/create-rego-pool.ts';
import type { CompileRego } from './compile-rego.ts';

/** Compiles and evaluates the Rego of policies that are not in force. */
export type RegoWorkshop = { compile: CompileRego; pool: Pick<RegoPool, 'evaluate'> };
