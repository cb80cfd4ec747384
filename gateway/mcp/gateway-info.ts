/** Who this gateway says it is, to clients and servers. */
export const gatewayInfo = { name: 'quarterdeck', title: 'Quarterdeck', version: '0.1.0' } as const;
