// An OpenID provider that claimgate's end-to-end test did not write: npm's oidc-provider, issuing JWT access tokens for
// client_credentials with the audience "orders". Not for production: one client, its secret on the command line.
//
//   node server.mjs MODULES PORT JWKS CLIENT_ID CLIENT_SECRET
//
// MODULES is the node_modules folder that install.sh filled; PORT 0 is any free one; JWKS is a file with the private
// keys, of which the first one signs. Prints the port once it listens and ends when its standard input does: it never
// outlives who started it. Called by tests/e2e/provider.rs.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const [modules, port, jwksFile, clientId, clientSecret] = process.argv.slice(2);
process.stdin.resume().on('close', () => process.exit(0));

// By path: the folder is not above this file, where an import by name would look.
const library = pathToFileURL(resolve(modules, 'oidc-provider/lib/index.js'));
const { default: Provider } = await import(library.href);

const server = createServer();
await new Promise((listening, failed) => {
  server.on('error', failed).listen(Number(port), '127.0.0.1', listening);
});
const bound = server.address().port;

const provider = new Provider(`http://127.0.0.1:${bound}`, {
  jwks: JSON.parse(readFileSync(jwksFile, 'utf8')),
  clients: [
    {
      client_id: clientId,
      client_secret: clientSecret,
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
    },
  ],
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: () => ({
        audience: 'orders',
        scope: 'orders:read',
        accessTokenFormat: 'jwt',
        accessTokenTTL: 600,
        jwt: { sign: { alg: 'RS256' } },
      }),
    },
  },
});
server.on('request', provider.callback());
process.stdout.write(`${bound}\n`);
