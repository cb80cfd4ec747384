/** Who the host is to a server. */
export const hostInfo = { name: 'quarterdeck-host', version: '1.0.0' };
