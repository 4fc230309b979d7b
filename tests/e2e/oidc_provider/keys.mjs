// Makes private keys for server.mjs: prints a JWK Set with one new RSA key for each KID given.
//
//   node keys.mjs KID...
import { generateKeyPairSync } from 'node:crypto';

const jwk = (kid) => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...privateKey.export({ format: 'jwk' }), kid, alg: 'RS256', use: 'sig' };
};
process.stdout.write(JSON.stringify({ keys: process.argv.slice(2).map(jwk) }));
