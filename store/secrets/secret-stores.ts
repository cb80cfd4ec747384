import { PlatformError } from '../../schema/errors.ts';
import { createKeptValues } from './kept-values.ts';
import { createKubernetesSecrets, type KubernetesSecrets } from './kubernetes-secrets.ts';
import type { SecretStoreSettings } from './settings.ts';
import { createVaultSecrets, type VaultSecrets } from './vault-secrets.ts';

/** Looks an account up in the keychain of whoever runs the platform. @throws {PlatformError} `secret_unavailable` */
export type KeychainLookup = (account: string) => Promise<string>;

/** The stores that references may lead to, as one process has them: connections, and what was read a moment ago. */
export type SecretStores = {
  vault: VaultSecrets | undefined;
  kubernetes: KubernetesSecrets | undefined;
  keychain: { read: KeychainLookup; forget: (account: string) => void } | undefined;
  /** Gives back what was leased. */
  close(): Promise<void>;
};

const keychainKeptMs = 60_000;

const keepKeychain = (lookup: KeychainLookup): NonNullable<SecretStores['keychain']> => {
  const kept = createKeptValues<string>({ ttlMs: keychainKeptMs, staleMs: 0 });
  return { read: (account) => kept.get(account, () => lookup(account)), forget: kept.forget };
};

/** Nothing is connected to before the first reference asks for it. */
export const openSecretStores = (settings: SecretStoreSettings, lookup?: KeychainLookup): SecretStores => {
  const vault = settings.vault && createVaultSecrets(settings.vault);
  return {
    vault,
    kubernetes: settings.kubernetes && createKubernetesSecrets(settings.kubernetes),
    keychain: lookup && keepKeychain(lookup),
    close: async () => void (await vault?.close()),
  };
};

/** What a reference to a store that is not set up is told. */
export const notSetUp = (store: string, how: string): PlatformError =>
  new PlatformError('secret_unavailable', `${store} is not set up for this installation; ${how}.`);
