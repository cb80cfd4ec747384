/** How the gateway names itself to a server where it asks on its own account. */
export const ownClientInfo = { name: 'quarterdeck-gateway', version: '0.1.0' } as const;
