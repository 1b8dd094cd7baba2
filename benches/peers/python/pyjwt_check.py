"""PyJWT with cryptography, and by hand what it does not know of DPoP."""

import hashlib
import json
import time
from base64 import urlsafe_b64encode
from importlib.metadata import version

import jwt
from requests_file import measure, requests, show

heading, listed = requests()
issuer_key = jwt.PyJWK(heading["issuer_key"], algorithm="ES256").key
seen = set()


def base64url(value):
    return urlsafe_b64encode(value).rstrip(b"=").decode()


def check(request):
    token = jwt.decode_complete(
        request["token"], issuer_key, algorithms=["ES256"], issuer=heading["issuer"], audience=heading["audience"]
    )
    header = jwt.get_unverified_header(request["proof"])
    jwk = header["jwk"]
    if header.get("typ") != "dpop+jwt" or "d" in jwk:
        raise ValueError("not a proof")
    key = jwt.PyJWK(jwk, algorithm="ES256").key
    options = {"verify_aud": False, "verify_iss": False}
    proof = jwt.decode(request["proof"], key, algorithms=["ES256"], options=options)
    members = {name: jwk[name] for name in ("crv", "kty", "x", "y")}
    thumbprint = hashlib.sha256(json.dumps(members, separators=(",", ":")).encode()).digest()
    right = (
        token["header"]["typ"] == "at+jwt"
        and proof["htm"] == request["method"]
        and proof["htu"] == request["url"].split("?")[0].split("#")[0]
        and abs(time.time() - proof["iat"]) <= 300
        and proof["ath"] == base64url(hashlib.sha256(request["token"].encode()).digest())
        and base64url(thumbprint) == token["payload"]["cnf"]["jkt"]
        and proof["jti"] not in seen
    )
    if not right:
        raise ValueError("refused")
    seen.add(proof["jti"])


show(f"PyJWT {version('PyJWT')}", "verified", measure(listed, check), "nonces, duplicate members, size limits, epochs, quotas")
