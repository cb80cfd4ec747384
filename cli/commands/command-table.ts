import type { Command } from 'commander';

/** One command as the help of the program lists it; what it does is loaded when it is called. */
export type CommandEntry = { name: string; group: string; summary: string; register(program: Command): Promise<unknown> };

const platform = 'Platform:';
const resources = 'Resources:';
const work = 'Work:';

export const commandTable: readonly CommandEntry[] = [
  {
    name: 'start',
    group: platform,
    summary: 'bring the platform up and run the example survey',
    register: async (program) => (await import('./start.ts')).registerStart(program),
  },
  {
    name: 'up',
    group: platform,
    summary: 'start the platform and keep it up until Ctrl-C',
    register: async (program) => (await import('./up.ts')).registerUp(program),
  },
  {
    name: 'down',
    group: platform,
    summary: 'stop the platform',
    register: async (program) => (await import('./down.ts')).registerDown(program),
  },
  {
    name: 'status',
    group: platform,
    summary: 'show the processes of the platform',
    register: async (program) => (await import('./status.ts')).registerStatus(program),
  },
  {
    name: 'doctor',
    group: platform,
    summary: 'look whether this machine has what a platform needs',
    register: async (program) => (await import('./doctor.ts')).registerDoctor(program),
  },
  {
    name: 'whoami',
    group: platform,
    summary: 'show who you are to the platform',
    register: async (program) => program.addCommand((await import('./whoami.ts')).whoamiCommand()),
  },
  {
    name: 'apply',
    group: resources,
    summary: 'declare resources: files, folders, stdin',
    register: async (program) => program.addCommand((await import('./apply.ts')).applyCommand()),
  },
  {
    name: 'get',
    group: resources,
    summary: 'show resources',
    register: async (program) => program.addCommand((await import('./get.ts')).getCommand()),
  },
  {
    name: 'describe',
    group: resources,
    summary: 'show one resource in full, or the fields of a kind',
    register: async (program) => program.addCommand((await import('./describe.ts')).describeCommand()),
  },
  {
    name: 'diff',
    group: resources,
    summary: 'show what an apply would change',
    register: async (program) => program.addCommand((await import('./diff.ts')).diffCommand()),
  },
  {
    name: 'delete',
    group: resources,
    summary: 'delete resources that nothing uses',
    register: async (program) => program.addCommand((await import('./delete.ts')).deleteCommand()),
  },
  {
    name: 'wait',
    group: resources,
    summary: 'wait until a resource is ready, or gone',
    register: async (program) => program.addCommand((await import('./wait.ts')).waitCommand()),
  },
  {
    name: 'fleet',
    group: work,
    summary: 'launch fleets; list, show, cancel and resume their runs',
    register: async (program) => program.addCommand((await import('./fleet.ts')).fleetCommand()),
  },
  {
    name: 'run',
    group: work,
    summary: 'look at runs of fleets',
    register: async (program) => program.addCommand((await import('./run.ts')).runsCommand()),
  },
  {
    name: 'audit',
    group: work,
    summary: 'who did what, what was decided, how it ended',
    register: async (program) => program.addCommand((await import('./audit.ts')).auditCommand()),
  },
  {
    name: 'model',
    group: work,
    summary: 'list, install and try models',
    register: async (program) => program.addCommand((await import('./model.ts')).modelCommand()),
  },
];
