import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { basename } from 'node:path';
import { expect, test } from 'vitest';
import { freePort } from '../../bench/gateway/free-port.ts';
import { serveMetrics } from '../../cli/up/metrics.ts';
import { findPortHolder } from '../../cli/up/port-holder.ts';
import { checkPorts, portsFrom } from '../../cli/up/ports.ts';

test('puts the listeners where the design says', () => {
  expect(portsFrom(7420)).toEqual({
    gateway: 7420,
    api: 7421,
    issuer: 7422,
    host: 7423,
    'local-model': 7424,
    postgres: 7425,
    temporal: 7426,
    'dev-idp': 7427,
    metrics: 7429,
  });
});

test.each([80, 65_527, 7420.5, Number.NaN])('refuses %s as a base', (base) => {
  expect(() => portsFrom(base)).toThrow(/expected a whole number from 1024 to 65526/);
});

test('names a taken port, what it is for, and another base', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const ports = { ...portsFrom(7420), gateway: port - 1, api: port };
  await expect(checkPorts(ports, ['api'])).rejects.toThrow(new RegExp(`^Port ${port} \\(api\\) is taken.*--port ${port + 9}`));
  await checkPorts(ports, []); // a listener that is elsewhere needs no port here
  server.close();
});

test.runIf(process.platform === 'linux')('finds who holds a port, by the name of the program alone', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  expect(findPortHolder(port)).toEqual({ pid: process.pid, name: basename(process.execPath) });
  server.close();
  await once(server, 'close');
  expect(findPortHolder(port)).toBeUndefined();
});

test('serves metrics under its own name only', async () => {
  const port = await freePort();
  const metrics = await serveMetrics(port, async () => 'quarterdeck_process_up{process="gateway"} 1\n');
  const url = `http://127.0.0.1:${port}/metrics`;
  const answer = await fetch(url);
  expect(answer.headers.get('content-type')).toContain('version=0.0.4');
  expect(await answer.text()).toContain('quarterdeck_process_up');
  expect((await fetch(`${url}/more`)).status).toBe(404);
  const { request } = await import('node:http');
  const rebound = request({ port, host: '127.0.0.1', path: '/metrics', headers: { host: 'attacker.example' } }).end();
  const [response] = await once(rebound, 'response');
  expect(response.statusCode).toBe(403);
  response.resume();
  await metrics.close();
});
