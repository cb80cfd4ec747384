/** What the host needs to know to start. Paths are absolute paths on the host machine. */
export type HostConfig = {
  /** Port on 127.0.0.1; 0 takes a free one. */
  port: number;
  /** Key that every request has to bring as a bearer token. */
  key: string;
  /** Whether servers may run as bare processes where no cage can be had. */
  allowUncaged: boolean;
  /** Folder whose `node_modules` holds the npm packages of MCP servers. */
  packageRoot: string;
  /** The Node binary that runs them. */
  nodePath: string;
  /** Where the error output of servers goes, one file each. */
  logDirectory: string;
  /** How many instances there may be at once, 200 if absent; each is a process. */
  maximumInstances?: number;
  /** How many of them one server may have for single sessions, 100 if absent. */
  maximumSessionInstances?: number;
  /** Files and folders no cage ever sees: covered where a volume holds them, refused as a volume. `logDirectory` is always among them. */
  privatePaths?: string[];
  /** Folders inside private ones whose subfolders may be volumes all the same, e.g. outputs of runs. */
  openPaths?: string[];
  /** Where the egress process keeps the ways out of servers; absent where there is none, and then no server has a network. */
  egressDirectory?: string;
};
