/** What the program in an image is like, and what its registry asks of who pulls it. */
export type ProgramFacts = {
  /** Where it listens; a probe of another port fails. */
  port?: number;
  memoryMi?: number;
  /** Ports that it has to reach when it starts. */
  dials?: readonly number[];
  /** What it asks of the API server as its service account when it starts. */
  asks?: readonly { verb: string; group: string; resource: string }[];
  /** The password that the registry accepts; without it anybody may pull. */
  password?: string;
  /** The finalizer that it serves, where it is an operator. */
  finalizer?: string;
};

/** Images by what names them in a pod, as a registry has them now. What is not listed cannot be pulled. */
export type Images = Record<string, ProgramFacts>;
