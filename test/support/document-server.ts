import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';

/** A certificate for 127.0.0.1 and localhost that only tests trust; its key guards nothing. */
export const testCertificate = `-----BEGIN CERTIFICATE-----
MIIBnjCCAUWgAwIBAgIUaNzoj4+/Z4eypR2hfy447sRaLhgwCgYIKoZIzj0EAwIw
FjEUMBIGA1UEAwwLY2xpZW50LnRlc3QwIBcNMjYxMTI5MjIzMzIyWhgPMjEyNjEx
MDUyMjMzMjJaMBYxFDASBgNVBAMMC2NsaWVudC50ZXN0MFkwEwYHKoZIzj0CAQYI
KoZIzj0DAQcDQgAEGHk9oFOTm204KotV9nKVx+lqO2DtnUpOeguhGQ1jVWLoRWKm
9wr1aPdvznZW7LmHn6kg11vdRDoqy8BNYSvRq6NvMG0wHQYDVR0OBBYEFPaOIdmI
hI74pNY0Ce1aXKGSzwVrMB8GA1UdIwQYMBaAFPaOIdmIhI74pNY0Ce1aXKGSzwVr
MA8GA1UdEwEB/wQFMAMBAf8wGgYDVR0RBBMwEYcEfwAAAYIJbG9jYWxob3N0MAoG
CCqGSM49BAMCA0cAMEQCIHAMq1M6I/ZdPTPWCxdS//+Jsk2r372WJiLeu5wSGuLL
AiAZX7tJ01YSYHdprE8Bmk47ImpMMacpVVh2xbY9p+WMPA==
-----END CERTIFICATE-----`;
const testKey = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgWVJiHvKw2+297Zs9
iE5JhkzNHyY4aTATcagIkxykha2hRANCAAQYeT2gU5ObbTgqi1X2cpXH6Wo7YO2d
Sk56C6EZDWNVYuhFYqb3CvVo92/OdlbsuYefqSDXW91EOirLwE1hK9Gr
-----END PRIVATE KEY-----`;

/** An https server on this machine that counts who connects. */
export const startDocumentServer = async (listener: RequestListener) => {
  const paths: string[] = [];
  let connections = 0;
  const server = createServer({ cert: testCertificate, key: testKey }, (request, response) => {
    paths.push(request.url ?? '');
    listener(request, response);
  }).listen(0, '127.0.0.1');
  server.on('connection', () => {
    connections += 1;
  });
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `https://127.0.0.1:${port}`,
    paths,
    connections: () => connections,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
};
