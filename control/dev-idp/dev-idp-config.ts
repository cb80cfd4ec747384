/** The login provider of one machine. */
export type DevIdpConfig = {
  /** Where it listens; anything but a loopback address is refused. */
  address: string;
  /** The port of `issuerUrl`. */
  port: number;
  /** The `iss` of its ID tokens, e.g. `http://127.0.0.1:7427`. */
  issuerUrl: string;
  /** The one client: the issuer of this installation. */
  client: { id: string; secret: string; redirectUri: string };
  /** At least 32 characters: signs its cookies. */
  cookieKey: string;
};

/** A person as it vouches for them. */
export type DevPerson = { id: string; groups: string[]; roles: string[] };

/** The people of this machine. */
export type DevPeople = {
  /** Finds a person whose password that is. */
  check(id: string, password: string): Promise<DevPerson | undefined>;
  find(id: string): Promise<DevPerson | undefined>;
};
