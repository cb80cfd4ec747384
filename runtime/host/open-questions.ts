import {
  type JsonRpcMessage,
  type JsonRpcNotification,
  type JsonRpcRequest,
  type RequestId,
  rpcError,
  rpcErrorCodes,
} from '../stdio/json-rpc.ts';

/** More questions than this at once are not asked. */
const maximumOpen = 1_000;
/** A server may ask as soon as it is introduced, when its client has had no time to open a stream. */
const patienceMs = 900;

/** A stream that can take a question to the client, and says when it is gone. */
export type QuestionCarrier = { send(message: JsonRpcMessage): boolean; readonly closed: AbortSignal };

export type OpenQuestions = ReturnType<typeof createOpenQuestions>;

/** `answer` writes to the process; `findCarrier` says which stream takes a question now. */
export type QuestionParts = {
  nextId: () => RequestId;
  answer: (message: JsonRpcMessage) => void;
  findCarrier: () => QuestionCarrier | undefined;
};

/**
 * Requests of one process that wait for the client's answer. They travel under ids of the host, never used twice: a process that was started
 * again counts from the beginning, and an answer to the one before must not reach it.
 */
export const createOpenQuestions = ({ nextId, answer, findCarrier }: QuestionParts) => {
  const open = new Map<RequestId, { ask: JsonRpcRequest; carrier?: QuestionCarrier; forget(): void }>();

  const refuse = (id: RequestId, text: string): void => answer(rpcError(id, rpcErrorCodes.internal, text));

  const send = (id: RequestId, ask: JsonRpcRequest, carrier: QuestionCarrier): void => {
    const onClosed = () => {
      open.delete(id);
      refuse(ask.id, 'The client left without an answer.');
    };
    const forget = () => {
      open.delete(id);
      carrier.closed.removeEventListener('abort', onClosed);
    };
    open.set(id, { ask, carrier, forget });
    carrier.closed.addEventListener('abort', onClosed, { once: true });
    if (carrier.send({ ...ask, id })) return;
    forget();
    refuse(ask.id, 'The client does not read its stream.');
  };

  const wait = (id: RequestId, ask: JsonRpcRequest): void => {
    const timer = setTimeout(() => {
      open.delete(id);
      refuse(ask.id, 'The client has no stream open, so it cannot be asked.');
    }, patienceMs);
    const forget = () => {
      open.delete(id);
      clearTimeout(timer);
    };
    open.set(id, { ask, forget });
  };

  return {
    /** Sends the question on; the server gets an error when no stream is there within 0.9 s, and when the one that carried it closes. */
    ask: (ask: JsonRpcRequest): void => {
      const carrier = findCarrier();
      if (open.size >= maximumOpen) refuse(ask.id, 'Too many questions are open.');
      else if (carrier) send(nextId(), ask, carrier);
      else wait(nextId(), ask);
    },
    /** A stream may have been opened: what waits for one is sent. */
    sendWaiting: (): void => {
      for (const [id, { ask, carrier: taken, forget }] of open) {
        const carrier = taken ? undefined : findCarrier();
        if (carrier === undefined) continue;
        forget();
        send(id, ask, carrier);
      }
    },
    /** Takes the client's answer to the server; one that nobody waits for is left out. */
    settle: (message: JsonRpcMessage): void => {
      const question = open.get(message.id as RequestId);
      if (question === undefined) return;
      question.forget();
      answer({ ...message, id: question.ask.id });
    },
    /** The server takes a question of its own back. */
    takeBack: (notification: JsonRpcNotification): void => {
      const params = notification.params as { requestId?: unknown } | undefined;
      const found = [...open].find(([, { ask }]) => ask.id === params?.requestId);
      if (found === undefined) return;
      const [id, { carrier, forget }] = found;
      forget();
      carrier?.send({ ...notification, params: { ...params, requestId: id } });
    },
    /** The process is gone; nobody waits any more. */
    forgetAll: (): void => {
      for (const { forget } of [...open.values()]) forget();
    },
  };
};
