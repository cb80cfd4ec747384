// What the conformance program starts as "the client": it asks the test, which holds the gateway, to use the server at the URL it was given.
const answer = await fetch(process.env.CONFORMANCE_DRIVER, {
  method: 'POST',
  body: JSON.stringify({
    url: process.argv.at(-1),
    scenario: process.env.MCP_CONFORMANCE_SCENARIO,
    version: process.env.MCP_CONFORMANCE_PROTOCOL_VERSION,
    context: JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT ?? '{}'),
  }),
});
process.exitCode = answer.ok ? 0 : 1;
