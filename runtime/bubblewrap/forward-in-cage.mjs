import { spawn } from 'node:child_process';
import { connect, createServer } from 'node:net';

/**
 * Runs inside a cage before a server that may reach hosts: `node forward-in-cage.mjs PORT SOCKET COMMAND …`. A cage has a loopback of its own
 * and nothing else; HTTP clients know no proxy on a Unix socket, so this offers it there, and then starts the server, whose input and
 * output it leaves alone. It decides nothing: that is done at the other end of the socket.
 *
 * Plain JavaScript without dependencies: it is the only file of ours in the cage.
 */
const [port = '', path = '', command = '', ...args] = process.argv.slice(2);

const away =
  'Quarterdeck egress: the process that carries connections does not answer; it is started again, so try again in a few seconds.\n';
const unavailable = `HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain\r\ncontent-length: ${away.length}\r\nconnection: close\r\n\r\n${away}`;

const proxy = createServer({ allowHalfOpen: true }, (client) => {
  const upstream = connect({ path, allowHalfOpen: true });
  let stands = false;
  upstream.once('connect', () => {
    stands = true;
  });
  upstream.once('error', () => {
    if (stands) client.destroy();
    else client.end(unavailable);
  });
  client.on('error', () => upstream.destroy());
  client.once('close', () => upstream.destroy());
  upstream.once('close', () => {
    if (stands) client.destroySoon();
  });
  client.pipe(upstream).pipe(client, { end: true });
});

proxy.listen(Number(port), '127.0.0.1', () => {
  const server = spawn(command, args, { stdio: 'inherit' });
  server.once('error', (error) => {
    process.stderr.write(`${command}: ${error.message}\n`);
    process.exit(127);
  });
  server.once('exit', (code, signal) => process.exit(signal === null ? (code ?? 1) : 128));
});
