// oauth4webapi against the authorization server: pushed request, PKCE, DPoP with nonces, code, refresh, revocation,
// client credentials, device, token exchange.
// node oauth4webapi.mjs ISSUER CLIENT_ID PRIVATE_JWK_FILE USERNAME PASSWORD
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import * as oauth from 'oauth4webapi';
import { approve, approveDevice } from './people.mjs';
import { bearerToken } from './provider.mjs';

const [issuerText, clientId, keyFile, username, password] = process.argv.slice(2);
const plain = { [oauth.allowInsecureRequests]: true };
const issuer = new URL(issuerText);
const as = await oauth.processDiscoveryResponse(
  issuer,
  await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...plain }),
);
const jwk = JSON.parse(readFileSync(keyFile, 'utf8'));
const key = await crypto.subtle.importKey('jwk', jwk, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign']);
// FAPI 2.0: the issuer is the only audience.
const authentication = oauth.PrivateKeyJwt(key, {
  [oauth.modifyAssertion]: (_, claims) => { claims.aud = as.issuer; },
});
const client = { client_id: clientId };
const proofKeys = await oauth.generateKeyPair('ES256');
const DPoP = oauth.DPoP(client, proofKeys);

// A request is made anew when the server asks for a nonce.
async function withNonce(request) {
  try {
    return await request();
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error;
    return request();
  }
}

const redirectUri = 'http://127.0.0.1:43210/callback';
const verifier = oauth.generateRandomCodeVerifier();
const state = oauth.generateRandomState();
const parameters = new URLSearchParams({
  client_id: clientId,
  response_type: 'code',
  redirect_uri: redirectUri,
  scope: 'read',
  state,
  code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
  code_challenge_method: 'S256',
});
const pushed = await withNonce(async () =>
  oauth.processPushedAuthorizationResponse(
    as,
    client,
    await oauth.pushedAuthorizationRequest(as, client, authentication, parameters, { DPoP, ...plain }),
  ),
);
const url = new URL(as.authorization_endpoint);
url.searchParams.set('client_id', clientId);
url.searchParams.set('request_uri', pushed.request_uri);
const back = await approve(url, username, password);
assert.equal(back.origin + back.pathname, redirectUri);
const answer = oauth.validateAuthResponse(as, client, back, state); // checks iss (RFC 9207)

const granted = await withNonce(async () =>
  oauth.processAuthorizationCodeResponse(
    as,
    client,
    await oauth.authorizationCodeGrantRequest(as, client, authentication, answer, redirectUri, verifier, {
      DPoP,
      ...plain,
    }),
  ),
);
assert.equal(granted.token_type, 'dpop');
assert.ok(granted.refresh_token);

const refreshed = await withNonce(async () =>
  oauth.processRefreshTokenResponse(
    as,
    client,
    await oauth.refreshTokenGrantRequest(as, client, authentication, granted.refresh_token, { DPoP, ...plain }),
  ),
);
assert.equal(refreshed.token_type, 'dpop');

await oauth.processRevocationResponse(
  await oauth.revocationRequest(as, client, authentication, refreshed.refresh_token ?? granted.refresh_token, plain),
);
await assert.rejects(
  withNonce(async () =>
    oauth.processRefreshTokenResponse(
      as,
      client,
      await oauth.refreshTokenGrantRequest(as, client, authentication, granted.refresh_token, { DPoP, ...plain }),
    ),
  ),
  (error) => error.error === 'invalid_grant',
);

const own = await withNonce(async () =>
  oauth.processClientCredentialsResponse(
    as,
    client,
    await oauth.clientCredentialsGrantRequest(as, client, authentication, { scope: 'read' }, { DPoP, ...plain }),
  ),
);
assert.equal(own.token_type, 'dpop');
assert.equal(own.refresh_token, undefined);

const asked = await oauth.processDeviceAuthorizationResponse(
  as,
  client,
  await oauth.deviceAuthorizationRequest(as, client, authentication, { scope: 'read write' }, plain),
);
const poll = () => withNonce(async () =>
  oauth.processDeviceCodeResponse(
    as,
    client,
    await oauth.deviceCodeGrantRequest(as, client, authentication, asked.device_code, { DPoP, ...plain }),
  ),
);
await assert.rejects(poll, (error) => error.error === 'authorization_pending');
await approveDevice(asked.verification_uri_complete, username, password);
const device = await poll();
assert.equal(device.token_type, 'dpop');
await assert.rejects(poll, (error) => error.error === 'invalid_grant');

const accessToken = 'urn:ietf:params:oauth:token-type:access_token';
const exchange = (subject_token, keys) => withNonce(async () =>
  oauth.processGenericTokenEndpointResponse(
    as,
    client,
    await oauth.genericTokenEndpointRequest(
      as,
      client,
      authentication,
      'urn:ietf:params:oauth:grant-type:token-exchange',
      { subject_token, subject_token_type: accessToken, scope: 'read' },
      { DPoP: keys, ...plain },
    ),
  ),
);
const narrowed = await exchange(device.access_token, DPoP);
assert.equal(narrowed.token_type, 'dpop');
assert.equal(narrowed.issued_token_type, accessToken);
assert.equal(narrowed.scope ?? 'read', 'read');
const thief = oauth.DPoP(client, await oauth.generateKeyPair('ES256'));
await assert.rejects(() => exchange(device.access_token, thief), (error) => error.error === 'invalid_request' || error.error === 'invalid_grant');
const upgraded = await exchange(await bearerToken(key, 'read'), DPoP);
assert.equal(upgraded.token_type, 'dpop');
assert.equal(upgraded.refresh_token, undefined);
assert.ok(upgraded.expires_in <= 60);
console.log('oauth4webapi: ok');
