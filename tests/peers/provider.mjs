// The provider that the server trusts, and that cannot bind tokens: signs a Bearer token for the resource.

const encode = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

export async function bearerToken(key, scope) {
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    iss: 'https://idp.example.com',
    aud: 'https://api.example.com',
    sub: 'ada@idp',
    jti: crypto.randomUUID(),
    iat: now,
    exp: now + 60,
    scope,
  };
  const input = `${encode({ alg: 'ES256', typ: 'at+jwt', kid: 'peer' })}.${encode(claims)}`;
  const signature = await crypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, key, Buffer.from(input));
  return `${input}.${Buffer.from(signature).toString('base64url')}`;
}
