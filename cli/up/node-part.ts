import { closeSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Config } from '../config.ts';
import type {
  ConfigMessage,
  JoinTokenMessage,
  KeychainQuestion,
  ProcessMessage,
  RootKeysMessage,
  SecretAnswer,
  SecretRequest,
} from '../processes/messages.ts';
import type { ProcessConfigs, ProcessName } from '../processes/process-configs.ts';
import { askMeasures } from './ask-measures.ts';
import { spawnCommand } from './command.ts';
import type { RootKeysOfProcess } from './follow-root-keys.ts';
import { answerKeychain } from './keychain.ts';
import { openLog } from './log-file.ts';
import type { Part } from './part.ts';

const entry = fileURLToPath(new URL('../process.ts', import.meta.url));
const root = fileURLToPath(new URL('../../', import.meta.url));

/** What our processes see of the environment: where things are, never keys, which come with the configuration. */
const inherited = ['PATH', 'HOME', 'TMPDIR', 'TZ', 'LANG', 'XDG_CACHE_HOME', 'NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE', 'SSL_CERT_DIR'];

/** Long enough for a worker to bundle its workflows beside a busy compiler. */
const readyWithinMs = 120_000;

export type NodePartOptions<Name extends ProcessName> = {
  config: ProcessConfigs[Name];
  port?: number;
  stopGraceMs: number;
  logFile: string;
  logLevel: Config['logLevel'];
  /** 32 bytes in base64. */
  redactionKey: string;
  environment: Config['environment'];
  tracing?: Config['tracing'];
  /** What becomes of the root keys that this process is told; absent: nothing. */
  rootKeys?: RootKeysOfProcess;
  /** Makes the tokens by which this process may join the issuer; it asks for each. */
  makeJoinToken?: (() => string) | undefined;
  /** Starts the workers anew, when this process asks for it. */
  restartWorkers?: (() => void) | undefined;
  /** Answers what the process asks while it runs. */
  answer?(request: SecretRequest): Promise<SecretAnswer>;
};

/** One of our own processes as a part of the platform. */
export const nodePart = <Name extends ProcessName>(name: Name, options: NodePartOptions<Name>): Part => ({
  name,
  ...(options.port === undefined ? {} : { port: options.port }),
  stopSignal: 'SIGTERM',
  stopGraceMs: options.stopGraceMs,
  launch: () => {
    const env = Object.fromEntries(
      inherited.flatMap((variable) => (options.environment[variable] ? [[variable, options.environment[variable]]] : [])),
    );
    const log = openLog(options.logFile);
    const child = spawnCommand({ file: process.execPath, args: [entry, name], env, cwd: root }, ['ignore', log, log, 'ipc']);
    closeSync(log);
    const { config, logLevel, redactionKey, tracing } = options;
    const message: ConfigMessage = {
      type: 'config',
      config,
      logLevel,
      redactionKey,
      rootKeys: options.rootKeys?.changes() ?? [],
      ...(tracing ? { tracing } : {}),
    };
    child.send(message, () => undefined); // a child that is gone already is seen by its exit
    const leave = options.rootKeys?.follow((changes) => {
      if (child.connected) child.send({ type: 'root-keys', changes } satisfies RootKeysMessage, () => undefined);
    });
    if (leave) child.once('exit', leave);
    const ready = new Promise<void>((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`it does not answer; its log is ${options.logFile}`)), readyWithinMs);
      child.once('exit', () => clearTimeout(late));
      child.on('message', (answer: ProcessMessage | KeychainQuestion | SecretRequest) => {
        if (answer.type === 'keychain') return void answerKeychain(child, answer, options.environment);
        if (answer.type === 'secret-wanted')
          return void options.answer?.(answer).then((reply) => {
            if (child.connected) child.send(reply, () => undefined);
          });
        if (answer.type === 'worker-restart-wanted') return options.restartWorkers?.();
        if (answer.type === 'join-token-wanted') {
          const token = options.makeJoinToken?.();
          if (token !== undefined) child.send({ type: 'join-token', token } satisfies JoinTokenMessage, () => undefined);
          return;
        }
        clearTimeout(late);
        if (answer.type === 'ready') resolve();
        else if (answer.type === 'failed') reject(new Error(`${answer.detail.replace(/\.$/, '')}; its log is ${options.logFile}`));
      });
    });
    return { child, ready, measure: () => askMeasures(child) };
  },
});
