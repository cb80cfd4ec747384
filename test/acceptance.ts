/**
 * The acceptance list of the product: what it promises, clause by clause, and the test that proves each. Pure data; whether a clause
 * is proven is computed from the report of a test run (`npm run status`), never written here.
 */
export type AcceptanceEntry = {
  /** Case of the list below, such as `GW-1` or `R09`. */
  readonly id: string;
  /** Part of the case, `a`, `b`, …: what one test can prove. */
  readonly clause: string;
  /** What is promised, in words that can be read alone. */
  readonly text: string;
  /** The case's own number, where it has one, such as `p50 ≤ 0.4 ms`. */
  readonly threshold?: string;
  /** `file › group › name` of the test, or `file › name`, as the runner reports it; file from the root of the repository. */
  readonly test: string;
};

/** The cases there are: an id is `prefix`, then a number from 1 to `count` padded to `digits`. */
export const acceptanceFamilies = [
  { title: 'Parity with the nearest platform', prefix: 'P', count: 34, digits: 1 },
  { title: 'Beyond it', prefix: 'B', count: 15, digits: 1 },
  { title: 'Gateway', prefix: 'GW-', count: 30, digits: 1 },
  { title: 'Reconciler', prefix: 'R', count: 26, digits: 2 },
  { title: 'Fleets', prefix: 'F', count: 9, digits: 2 },
  { title: 'Faults in Kubernetes', prefix: 'K', count: 16, digits: 2 },
  { title: 'Faults in the gateway', prefix: 'G', count: 12, digits: 2 },
  { title: 'Faults of agents', prefix: 'A', count: 12, digits: 2 },
  { title: 'Security', prefix: 'SEC-', count: 40, digits: 1 },
  { title: 'First use', prefix: 'UX-', count: 30, digits: 1 },
] as const;

export const acceptance: readonly AcceptanceEntry[] = [
  {
    id: 'F04',
    clause: 'a',
    text: 'Workers killed in the middle of a fan-out lose no agent and repeat no effect.',
    test: 'test/full/e2e/survey-kills.test.ts › a survey survives worker being killed in its middle',
  },
  {
    id: 'F05',
    clause: 'a',
    text: 'Cancelling a fleet aborts the model calls under way.',
    threshold: '≤ 30 s',
    test: 'test/full/e2e/survey-stories.test.ts › a team runs a fleet › cancels a run: calls under way are given up, and nothing is called after',
  },
  {
    id: 'F06',
    clause: 'a',
    text: 'Calls are reserved before they are made, so a limit is never overspent, also by fifty calls at once.',
    test: 'test/gateway/mcp-tools.test.ts › who may do what › calls are held to the limit of the role, also fifty at once',
  },
  {
    id: 'F06',
    clause: 'b',
    text: 'A parked agent goes on after its limit was raised, also when its fleet has ended.',
    test: 'test/full/e2e/survey-stories.test.ts › limits › park an agent that has used up its steps; with more of them it goes on after its fleet has ended',
  },
  {
    id: 'GW-21',
    clause: 'a',
    text: 'Policies that are not valid are refused whole, and the last good ones stay in force.',
    test: 'test/policy/engine.test.ts › putting policies into force › keeps the last good policies in force when the next are bad',
  },
  {
    id: 'GW-21',
    clause: 'b',
    text: 'A decision that cannot be made is a deny.',
    test: 'test/policy/engine.test.ts › decisions › denies when a policy cannot be evaluated, although Cedar itself would skip it',
  },
  {
    id: 'GW-23',
    clause: 'a',
    text: 'A tool that a caller may never use answers exactly as one that does not exist.',
    test: 'test/gateway/mcp-tools.test.ts › who may do what › a person without a grant sees no tool, and a forbidden name answers exactly as an unknown one',
  },
  {
    id: 'GW-23',
    clause: 'b',
    text: 'A call refused for its arguments names the rule and what to do.',
    test: 'test/gateway/mcp-tools.test.ts › who may do what › the path /ok/../secret is refused with the rule and what to do, and nothing is called',
  },
  {
    id: 'GW-24',
    clause: 'a',
    text: 'A token for another audience is answered 401 with the address of the resource metadata.',
    test: 'test/gateway/mcp-tools.test.ts › who may do what › a token for another virtual server is refused, and the server behind hears nothing',
  },
  {
    id: 'GW-24',
    clause: 'b',
    text: 'The inbound token never appears at the server behind the gateway.',
    test: 'test/gateway/mcp-tools.test.ts › who may do what › the inbound token never reaches the server behind',
  },
  {
    id: 'GW-25',
    clause: 'a',
    text: 'A tool whose description changed after its approval is hidden and denied until a person approves it again.',
    test: 'test/gateway/mcp-tools.test.ts › definitions › a definition that changed since its approval is hidden and denied until a person applies the server again',
  },
  {
    id: 'SEC-1',
    clause: 'a',
    text: 'A token for a sibling virtual server is refused with the address of the metadata, and the upstream sees nothing.',
    test: 'test/gateway/mcp-tools.test.ts › who may do what › a token for another virtual server is refused, and the server behind hears nothing',
  },
  {
    id: 'SEC-5',
    clause: 'a',
    text: 'A page of another site that posts to the gateway is answered 403 before its body is read.',
    test: 'test/gateway/mcp-tools.test.ts › who may do what › a foreign page is refused before anything is read',
  },
  {
    id: 'SEC-9',
    clause: 'a',
    text: 'A privileged actor nested in a token decides nothing: only the outermost actor is read.',
    test: 'test/gateway/verify-run-token.test.ts › sees the outermost actor alone: a privileged one nested in it is not in the claims',
  },
  {
    id: 'SEC-13',
    clause: 'a',
    text: 'A guard that meets an error is a deny, where Cedar alone would allow.',
    test: 'test/policy/engine.test.ts › decisions › denies when a policy cannot be evaluated, although Cedar itself would skip it',
  },
  {
    id: 'SEC-24',
    clause: 'a',
    text: 'A caged server can write no kernel setting, see no other process and make no namespace.',
    test: 'test/full/runtime/caged-servers.test.ts › a server that tries to leave its cage › cannot write kernel settings, see other processes or make a namespace',
  },
  {
    id: 'SEC-24',
    clause: 'b',
    text: 'A caged server reaches no network and no file of the host.',
    test: 'test/full/runtime/caged-servers.test.ts › a server that tries to leave its cage › reaches no network: neither loopback of the host nor its addresses nor names',
  },
  {
    id: 'SEC-35',
    clause: 'a',
    text: 'A caller that died after the tool ran and before it heard the outcome finds the outcome by its operation id; there is no second effect.',
    test: 'test/gateway/mcp-tools.test.ts › an operation is made at most once › a caller that leaves does not stop a named operation; its retry finds the outcome',
  },
  {
    id: 'SEC-35',
    clause: 'b',
    text: 'A gateway killed before sending, after sending or before settling leaves at most one effect, and the operation visibly unknown.',
    test: 'test/gateway/operation-kills.test.ts › a gateway killed before it settles leaves the call unknown, and it is executed once',
  },
  {
    id: 'SEC-40',
    clause: 'a',
    text: 'After a fleet has run, no content, token or key is in workflow histories, logs, audit or the process list.',
    test: 'test/full/e2e/survey-stories.test.ts › nothing of what was read, no token and no key is in the histories, the logs, the audit or the process list',
  },
  {
    id: 'R09',
    clause: 'a',
    text: 'A model that answers prose, cut JSON or an unknown tool is asked again at most twice, then a person is left with it.',
    threshold: '≤ 2 repairs',
    test: 'test/full/e2e/survey-stories.test.ts › a model that misbehaves › that answers prose is asked again twice, then its agent is parked; the fleet goes on and ends as partial',
  },
];
