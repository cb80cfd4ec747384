import type { SecretSources } from '../../store/secrets/references.ts';
import type { ContentKeys } from '../../store/secrets/seal.ts';

/** What the issuer needs to get credentials for MCP servers. */
export type BackendsConfig = {
  /** At least 32 characters: by which the gateway shows that it asks (`credentialKeyOf`). */
  gatewayKey: string;
  /** 32 bytes in base64: seals what people granted, and clients that were registered. */
  grantKey: string;
  /** In its place, where those keys rotate: keys for one purpose. */
  keysFor?: (purpose: string) => ContentKeys;
  /** Where references of secrets are looked up. */
  secrets: SecretSources;
};
