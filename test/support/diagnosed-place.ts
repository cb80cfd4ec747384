import { startDiagnosisPlace } from './diagnosis-place.ts';
import { startReconcilePlace } from './reconcile-place.ts';

/** The reconciler over systems in memory, one for each target, whose faults a scripted model diagnoses through the real gateway. */
export const startDiagnosedPlace = async () => {
  const diagnosis = await startDiagnosisPlace();
  const { gateway, contents, client } = diagnosis;
  const place = await startReconcilePlace({
    ...{ database: gateway.database, contents, gateway: client, owner: 'admin', worldPerTarget: true },
  }).catch(async (error) => {
    await diagnosis.close();
    throw error;
  });
  return {
    diagnosis,
    place,
    close: async (): Promise<void> => {
      await place.stop();
      await place.close();
      await diagnosis.close();
    },
  };
};
