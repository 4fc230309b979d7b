// What npm's openid-client and jose make of the reference issuer: its discovery document, its tokens and its keys.
//
//   node verify.mjs MODULES ISSUER CLIENT SECRET
//
// Prints one JSON object, or fails.

import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [modules, issuer, id, secret] = process.argv.slice(2);
const from = createRequire(pathToFileURL(`${modules}/here.js`));
const load = (name) => import(pathToFileURL(from.resolve(name)).href);
const client = await load('openid-client');
const { createRemoteJWKSet, jwtVerify } = await load('jose');

const told = {};
for (const [algorithm, auth] of [
  ['oidc', client.ClientSecretBasic(secret)],
  ['oauth2', client.ClientSecretPost(secret)],
]) {
  const options = { algorithm, execute: [client.allowInsecureRequests] };
  const config = await client.discovery(new URL(issuer), id, undefined, auth, options);
  const metadata = config.serverMetadata();
  const keys = createRemoteJWKSet(new URL(metadata.jwks_uri));
  const verified = (token) =>
    jwtVerify(token, keys, {
      issuer,
      audience: 'orders',
      typ: 'at+jwt',
      algorithms: ['RS256'],
      requiredClaims: ['sub', 'client_id', 'iat', 'exp', 'jti'],
    });
  const first = await client.clientCredentialsGrant(config, { scope: 'orders:read', resource: 'orders' });
  const { payload, protectedHeader } = await verified(first.access_token);
  const second = await client.refreshTokenGrant(config, first.refresh_token);
  const again = await verified(second.access_token);
  await client.tokenRevocation(config, second.access_token);
  await client.tokenRevocation(config, second.refresh_token);
  let refused;
  try {
    await client.refreshTokenGrant(config, second.refresh_token);
  } catch (error) {
    refused = error.error;
  }
  told[algorithm] = {
    kid: protectedHeader.kid,
    sub: payload.sub,
    scope: payload.scope,
    roles: payload.roles,
    same_session: payload.sid === again.payload.sid,
    other_token: payload.jti !== again.payload.jti,
    after_revocation: refused,
  };
}
console.log(JSON.stringify(told));
