import { writeFile } from 'node:fs/promises';
import { Client, Connection } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';

/**
 * Writes the history of a workflow into a file, as `temporal workflow show --output json` does. Run it by hand against a server that
 * has seen the workflow: `node test/replay/record-history.ts 127.0.0.1:7426 WORKFLOW_ID test/replay/histories/NAME.json`. A workflow
 * change that is guarded by `patched` adds a file here; files are never replaced.
 */
export const recordHistory = async (address: string, workflowId: string, file: string): Promise<void> => {
  const connection = await Connection.connect({ address });
  try {
    const history = await new Client({ connection }).workflow.getHandle(workflowId).fetchHistory();
    await writeFile(file, `${historyToJSON(history)}\n`);
  } finally {
    await connection.close();
  }
};

if (import.meta.main) {
  const [address, workflowId, file] = process.argv.slice(2);
  if (!address || !workflowId || !file) throw new Error('give the address of a Temporal server, a workflow id and a file');
  await recordHistory(address, workflowId, file);
}
