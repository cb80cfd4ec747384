import { type ErrorCode, PlatformError } from '../../schema/errors.ts';
import type { Principal } from '../principal.ts';

/** A refusal at the door of a caller who is known: it is not counted with those of nobody, but has a row that says who. */
export class KnownCallerRefused extends PlatformError {
  readonly principal: Principal;

  constructor(principal: Principal, code: ErrorCode, detail: string) {
    super(code, detail);
    this.principal = principal;
  }
}
