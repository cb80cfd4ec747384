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
    name: 'login',
    group: platform,
    summary: 'log in with your browser',
    register: async (program) => program.addCommand((await import('./login.ts')).loginCommand()),
  },
  {
    name: 'logout',
    group: platform,
    summary: 'end your login',
    register: async (program) => program.addCommand((await import('./logout.ts')).logoutCommand()),
  },
  {
    name: 'token',
    group: platform,
    summary: 'print a token of yours, for one resource',
    register: async (program) => program.addCommand((await import('./token.ts')).tokenCommand()),
  },
  {
    name: 'whoami',
    group: platform,
    summary: 'show who you are to the platform',
    register: async (program) => program.addCommand((await import('./whoami.ts')).whoamiCommand()),
  },
  {
    name: 'grants',
    group: platform,
    summary: 'what you granted at MCP servers; take it back',
    register: async (program) => program.addCommand((await import('./grants.ts')).grantsCommand()),
  },
  {
    name: 'people',
    group: platform,
    summary: 'who has logged in; shut a person out',
    register: async (program) => program.addCommand((await import('./people.ts')).peopleCommand()),
  },
  {
    name: 'halt',
    group: platform,
    summary: 'the brake: stop everything, or one thing, at once',
    register: async (program) => program.addCommand((await import('./halt.ts')).haltCommand()),
  },
  {
    name: 'keys',
    group: platform,
    summary: "an org's keys: rotate or destroy them",
    register: async (program) => program.addCommand((await import('./keys.ts')).keysCommand()),
  },
  {
    name: 'project',
    group: resources,
    summary: 'how long a project keeps what, and what would go',
    register: async (program) => program.addCommand((await import('./project.ts')).projectCommand()),
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
    name: 'server',
    group: resources,
    summary: 'MCP servers: how they stand, and what they offer',
    register: async (program) => program.addCommand((await import('./server.ts')).serverCommand()),
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
    name: 'reconcile',
    group: work,
    summary: 'what is kept as it was declared: where it is, why, and what you hold',
    register: async (program) => program.addCommand((await import('./reconcile.ts')).reconcileCommand()),
  },
  {
    name: 'approvals',
    group: work,
    summary: 'calls that a person has to allow: approve or deny them',
    register: async (program) => program.addCommand((await import('./approvals.ts')).approvalsCommand()),
  },
  {
    name: 'audit',
    group: work,
    summary: 'who did what, what was decided, how it ended',
    register: async (program) => program.addCommand((await import('./audit.ts')).auditCommand()),
  },
  {
    name: 'policy',
    group: work,
    summary: 'explain decisions; test, try and publish policies',
    register: async (program) => program.addCommand((await import('./policy.ts')).policyCommand()),
  },
  {
    name: 'mcp',
    group: work,
    summary: 'use tools, prompts and resources; be an MCP server on stdio',
    register: async (program) => program.addCommand((await import('./mcp.ts')).mcpCommand()),
  },
  {
    name: 'connect',
    group: work,
    summary: 'let an agent client use the gateway',
    register: async (program) => program.addCommand((await import('./connect.ts')).connectCommand()),
  },
  {
    name: 'disconnect',
    group: work,
    summary: 'take out again what connect wrote',
    register: async (program) => program.addCommand((await import('./disconnect.ts')).disconnectCommand()),
  },
  {
    name: 'model',
    group: work,
    summary: 'list, install and try models',
    register: async (program) => program.addCommand((await import('./model.ts')).modelCommand()),
  },
  {
    name: 'bench',
    group: platform,
    summary: 'measure what calls through the gateway cost',
    register: async (program) => program.addCommand((await import('./bench.ts')).benchCommand()),
  },
];
