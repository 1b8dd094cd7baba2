// openid-client against the authorization server: pushed request, PKCE, DPoP with nonces, code, refresh, revocation,
// client credentials, device, token exchange.
// node openid-client.mjs ISSUER CLIENT_ID PRIVATE_JWK_FILE USERNAME PASSWORD
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import * as client from 'openid-client';
import { approve, approveDevice } from './people.mjs';
import { bearerToken } from './provider.mjs';

const [issuer, clientId, keyFile, username, password] = process.argv.slice(2);
const jwk = JSON.parse(readFileSync(keyFile, 'utf8'));
const key = await crypto.subtle.importKey('jwk', jwk, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign']);
// FAPI 2.0: the issuer is the only audience.
const authentication = client.PrivateKeyJwt(key, {
  [client.modifyAssertion]: (_, claims) => { claims.aud = issuer; },
});
const config = await client.discovery(new URL(issuer), clientId, undefined, authentication, {
  algorithm: 'oauth2',
  execute: [client.allowInsecureRequests],
});
const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256'));

const verifier = client.randomPKCECodeVerifier();
const state = client.randomState();
const url = await client.buildAuthorizationUrlWithPAR(
  config,
  {
    redirect_uri: 'http://127.0.0.1:43211/callback',
    scope: 'read',
    state,
    code_challenge: await client.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
  },
  { DPoP },
);
const back = await approve(url, username, password);
const granted = await client.authorizationCodeGrant(
  config, back, { pkceCodeVerifier: verifier, expectedState: state }, undefined, { DPoP },
);
assert.equal(granted.token_type, 'dpop');
const refreshed = await client.refreshTokenGrant(config, granted.refresh_token, undefined, { DPoP });
assert.equal(refreshed.token_type, 'dpop');
const known = await client.tokenIntrospection(config, refreshed.access_token);
assert.equal(known.active, true);
await client.tokenRevocation(config, refreshed.refresh_token ?? granted.refresh_token);
await assert.rejects(
  client.refreshTokenGrant(config, granted.refresh_token, undefined, { DPoP }),
  (error) => error.error === 'invalid_grant',
);
assert.equal((await client.tokenIntrospection(config, refreshed.access_token)).active, false);
const own = await client.clientCredentialsGrant(config, { scope: 'read' }, { DPoP });
assert.equal(own.token_type, 'dpop');

const asked = await client.initiateDeviceAuthorization(config, { scope: 'read write' });
// The library asks again and again by itself; the user decides meanwhile.
const [device] = await Promise.all([
  client.pollDeviceAuthorizationGrant(config, asked, undefined, { DPoP }),
  approveDevice(asked.verification_uri_complete, username, password),
]);
assert.equal(device.token_type, 'dpop');

const accessToken = 'urn:ietf:params:oauth:token-type:access_token';
const exchange = (subject_token) => client.genericGrantRequest(
  config,
  'urn:ietf:params:oauth:grant-type:token-exchange',
  { subject_token, subject_token_type: accessToken, scope: 'read' },
  { DPoP },
);
const narrowed = await exchange(device.access_token);
assert.equal(narrowed.token_type, 'dpop');
assert.equal(narrowed.issued_token_type, accessToken);
const upgraded = await exchange(await bearerToken(key, 'read'));
assert.equal(upgraded.token_type, 'dpop');
assert.equal(upgraded.refresh_token, undefined);
console.log('openid-client: ok');
