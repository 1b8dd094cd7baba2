// oauth4webapi as a resource server: token and proof in one call, and a set for jti, which it leaves to its user.
import * as oauth from 'oauth4webapi'
import { measure, print, requests, version } from './requests.mjs'

const { heading, list } = requests()
const as = { issuer: heading.issuer, jwks_uri: `${heading.issuer}/jwks` }
const options = {
  requireDPoP: true,
  signingAlgorithms: ['ES256'],
  [oauth.jwksCache]: { jwks: { keys: [heading.issuer_key] }, uat: Math.floor(Date.now() / 1000) },
}
// A server is handed its requests; making them is not its work.
const made = list.map(({ method, url, token, proof }) => ({
  request: new Request(url, { method, headers: { authorization: `DPoP ${token}`, dpop: proof } }),
  proof,
}))
const seen = new Set()
const each = await measure(made, async ({ request, proof }) => {
  await oauth.validateJwtAccessToken(as, request, heading.audience, options)
  const { jti } = JSON.parse(Buffer.from(proof.split('.')[1], 'base64url'))
  if (seen.has(jti)) throw new Error('replayed')
  seen.add(jti)
})
print(`oauth4webapi ${version('oauth4webapi')}`, 'verified', each, 'replay (a set of jti is added), nonces, duplicate members')
