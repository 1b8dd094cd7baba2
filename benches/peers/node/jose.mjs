// jose, and by hand what it does not know of DPoP.
import { createHash } from 'node:crypto'
import { calculateJwkThumbprint, EmbeddedJWK, importJWK, jwtVerify } from 'jose'
import { measure, print, requests, version } from './requests.mjs'

const { heading, list } = requests()
const issuerKey = await importJWK(heading.issuer_key, 'ES256')
const { issuer, audience } = heading
const name = `jose ${version('jose')}`
const lacks = 'nonces, duplicate members, size limits, epochs, quotas'

async function boundTo(token) {
  const { payload } = await jwtVerify(token, issuerKey, { issuer, audience, typ: 'at+jwt', algorithms: ['ES256'] })
  return payload.cnf.jkt
}

function checking(jktOf) {
  const seen = new Set()
  return async ({ method, url, token, proof }) => {
    const { payload, protectedHeader } = await jwtVerify(proof, EmbeddedJWK, { typ: 'dpop+jwt', algorithms: ['ES256'] })
    const right =
      payload.htm === method &&
      payload.htu === url.split(/[?#]/)[0] &&
      Math.abs(Math.floor(Date.now() / 1000) - payload.iat) <= 300 &&
      payload.ath === createHash('sha256').update(token).digest('base64url') &&
      (await calculateJwkThumbprint(protectedHeader.jwk)) === (await jktOf(token)) &&
      !seen.has(payload.jti)
    if (!right) throw new Error('refused')
    seen.add(payload.jti)
  }
}

print(name, 'verified', await measure(list, checking(boundTo)), lacks)
const known = new Map()
const cached = async (token) => {
  if (!known.has(token)) known.set(token, await boundTo(token))
  return known.get(token)
}
print(name, 'cached', await measure(list, checking(cached)), lacks)
