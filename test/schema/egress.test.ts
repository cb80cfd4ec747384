import { describe, expect, test } from 'vitest';
import { validateResource } from '../../schema/validate-resource.ts';

const validate = (spec: object) =>
  validateResource({
    apiVersion: 'quarterdeck.dev/v1alpha1',
    kind: 'McpServer',
    metadata: { name: 'reach' },
    spec: { command: ['x'], ...spec },
  });
const issues = (spec: object): string => {
  const result = validate(spec);
  return result.ok ? '' : result.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('\n');
};

describe('where a server may connect to', () => {
  test('is said by exact host and port; TLS and the public internet are what is meant unless it says otherwise', () => {
    const result = validate({ egress: [{ host: 'api.example.com' }, { host: '10.0.0.7', port: 8443, private: true }] });
    expect(result).toMatchObject({
      ok: true,
      resource: { spec: { egress: [{ host: 'api.example.com', port: 443, private: false, maximumMb: 100 }, { host: '10.0.0.7' }] } },
    });
  });

  test.each([
    '*.example.com',
    'API.example.com',
    'https://api.example.com',
    'api.example.com:443',
    'api.example.com.',
    'user@api.example.com',
    '',
    '.',
    '2130706433',
    '0x7f000001',
    '0177.0.0.1',
    '127.1',
    '[::1]',
    'api..example.com',
    '-a.example.com',
    'ａpi.example.com',
  ])('is not said by %s', (host) => expect(issues({ egress: [{ host }] })).toContain('egress.0.host'));

  test.each(['10.0.0.7', '127.0.0.1', 'fd00::1'])('an inner address, %s, takes a word more', (host) => {
    expect(issues({ egress: [{ host }] })).toContain('`private: true`');
    expect(issues({ egress: [{ host, private: true }] })).toBe('');
  });

  test.each(['169.254.169.254', 'fd00:ec2::254', '::ffff:10.0.0.7', '0.0.0.0', '64:ff9b::a00:7'])('%s is never reached', (host) =>
    expect(issues({ egress: [{ host, private: true }] })).toContain('never'),
  );

  test('is said once', () => expect(issues({ egress: [{ host: 'a.test' }, { host: 'a.test' }] })).toContain('twice'));
});

describe('a secret of a server', () => {
  const egress = [{ host: 'api.example.com' }];
  test('goes to hosts that it may connect to, and stands in no other place', () => {
    const secrets = { TOKEN: { from: { env: 'REAL_TOKEN' }, hosts: ['api.example.com'] } };
    expect(validate({ egress, secrets })).toMatchObject({
      ok: true,
      resource: { spec: { secrets: { TOKEN: { header: 'authorization' } } } },
    });
    expect(issues({ secrets })).toContain('api.example.com is not there');
    expect(issues({ egress, secrets, env: { TOKEN: 'x' } })).toContain('stands in `env` too');
    expect(issues({ egress, secrets: { TOKEN: { from: { env: 'REAL_TOKEN' }, hosts: [] } } })).toContain('at least 1');
    expect(issues({ egress, secrets: { TOKEN: { ...secrets.TOKEN, header: 'Host' } } })).toContain('header');
  });
});
