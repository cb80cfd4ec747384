import { type AnnouncedApproval, addDeliveries, announceDecided, listOpenToAnnounce } from '../../store/channel-deliveries.ts';
import type { Database } from '../../store/database.ts';
import { findResource, listResources } from '../../store/resources.ts';

/** The channels of a project that are told of an approval: those that announce its kind, and those of the target that asks. */
const channelsFor = async (database: Database, approval: AnnouncedApproval): Promise<string[]> => {
  const { kind, target } = approval;
  const { org, project } = approval;
  const channels = await listResources(database, { org, project, kind: 'Channel' });
  const declared = target === null ? undefined : await findResource(database, { kind: 'ReconcileTarget', org, project, name: target });
  const named = new Set(declared?.spec.channels ?? []);
  return channels
    .filter(({ metadata, spec }) => spec.events.includes('approval') && (spec.announces.includes(kind) || named.has(metadata.name)))
    .map(({ metadata }) => metadata.name);
};

/** Puts down what is to be told and was not yet: open approvals, and those that were announced and are decided. */
export const planDeliveries = async (database: Database): Promise<void> => {
  const known = new Map<string, Promise<string[]>>();
  for (const approval of await listOpenToAnnounce(database)) {
    const { org, project, kind, target, id: subject } = approval;
    const key = `${org}/${project}/${kind}/${target ?? ''}`;
    const channels = known.get(key) ?? channelsFor(database, approval);
    known.set(key, channels);
    const missing = (await channels).filter((channel) => !approval.channels.includes(channel));
    await addDeliveries(
      database,
      missing.map((channel) => ({ org, project, channel, event: 'approval', subject })),
    );
  }
  await announceDecided(database);
};
