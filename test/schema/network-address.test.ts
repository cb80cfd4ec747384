import { isIP } from 'node:net';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type AddressKind, addressKind, parseAddress } from '../../schema/network-address.ts';

test.each<[AddressKind, string[]]>([
  ['public', ['8.8.8.8', '1.1.1.1', '172.15.255.255', '172.32.0.1', '2606:4700:4700::1111', '2a00:1450::1']],
  ['loopback', ['127.0.0.1', '127.255.255.255', '::1', '0:0:0:0:0:0:0:1']],
  ['private', ['10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.1.1', '100.64.0.1', 'fd00::1', 'fc12::1']],
  [
    'forbidden',
    ['169.254.169.254', '169.254.170.2', '100.100.100.200', '168.63.129.16', '192.0.0.192', 'fd00:ec2::254', 'fe80::1', 'fe80::1%eth0'],
  ],
  ['forbidden', ['0.0.0.0', '::', '224.0.0.1', '255.255.255.255', 'ff02::1', '198.18.0.1', '203.0.113.9', '2001:db8::1', '2001::1']],
  [
    'forbidden',
    ['::ffff:8.8.8.8', '::ffff:127.0.0.1', '::ffff:7f00:1', '::8.8.8.8', '64:ff9b::8.8.8.8', '64:ff9b:1::7f00:1', '2002:7f00:1::'],
  ],
  [
    'forbidden',
    ['2130706433', '0x7f000001', '127.1', '0177.0.0.1', '127.0.0.1.', '1.2.3', '1.2.3.256', 'example.test', '', ':::', '1::2::3', '[::1]'],
  ],
])('%s are %j', (kind, addresses) => {
  for (const address of addresses) expect(addressKind(address), address).toBe(kind);
});

test('reads exactly what Node takes for an address, zones apart', () => {
  const text = fc.oneof(
    fc.ipV4(),
    fc.ipV6(),
    fc
      .array(fc.constantFrom('0', '1', 'f', 'ff', ':', '::', '.', '127', '255', '256', '01'), { maxLength: 16 })
      .map((parts) => parts.join('')),
  );
  fc.assert(
    fc.property(text, (address) => {
      expect(parseAddress(address)?.length ?? 0).toBe({ 0: 0, 4: 4, 6: 16 }[isIP(address)]);
    }),
    { numRuns: 3000 },
  );
});
