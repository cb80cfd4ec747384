export const createModelHandler = (_c: unknown) => async (_a: unknown, _b: unknown): Promise<boolean> => false;
