import type { JWK } from 'jose';
import type { BackendsConfig } from './backends-config.ts';
import type { WorkersConfig } from './create-worker-check.ts';
import type { PeopleConfig } from './people-config.ts';

/** What the issuer needs to start; it arrives over IPC, for it holds keys and a secret. */
export type IssuerConfig = {
  /** TCP port on 127.0.0.1; 0 takes a free one. */
  port: number;
  /** The `iss` of every token and the one Host that is answered, e.g. `http://127.0.0.1:7422`; an origin without a path. */
  issuerUrl: string;
  /** Every audience is a URL under it, e.g. `http://127.0.0.1:7420`; no slash at the end. */
  resourceBase: string;
  /** Addresses or CIDR ranges of proxies that are believed about where requests come from; none unless said. */
  trustedProxies?: readonly string[];
  /** Private ES256 keys with a `kid` each, where none rotate. The first one signs; the others are published alone, so that older tokens still verify. */
  signingKeys: JWK[];
  /** Which workers may ask for agents, and how they show that they are these. */
  workers: WorkersConfig;
  /** Absent where nobody logs in: then the issuer keeps no state. */
  people?: PeopleConfig;
  /** Absent where no MCP server is sent a credential. */
  backends?: BackendsConfig;
};
