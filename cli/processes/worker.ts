export const startWorkerProcess = async (_config: unknown, _logger: unknown) => ({ close: async () => {} });
