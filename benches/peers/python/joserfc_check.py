"""joserfc, and by hand what it does not know of DPoP."""

import hashlib
import time
from base64 import urlsafe_b64encode
from importlib.metadata import version

from joserfc import jwt
from joserfc.jwk import ECKey
from requests_file import measure, requests, show

heading, listed = requests()
issuer_key = ECKey.import_key(heading["issuer_key"])
claims_of_tokens = jwt.JWTClaimsRegistry(
    iss={"essential": True, "value": heading["issuer"]}, aud={"essential": True, "value": heading["audience"]}
)
seen = set()


def check(request):
    token = jwt.decode(request["token"], issuer_key, algorithms=["ES256"])
    claims_of_tokens.validate(token.claims)
    key = None

    def embedded(obj):
        nonlocal key
        header = obj.headers()
        if header.get("typ") != "dpop+jwt" or "d" in header["jwk"]:
            raise ValueError("not a proof")
        key = ECKey.import_key(header["jwk"])
        return key

    proof = jwt.decode(request["proof"], embedded, algorithms=["ES256"]).claims
    ath = urlsafe_b64encode(hashlib.sha256(request["token"].encode()).digest()).rstrip(b"=").decode()
    right = (
        token.header["typ"] == "at+jwt"
        and proof["htm"] == request["method"]
        and proof["htu"] == request["url"].split("?")[0].split("#")[0]
        and abs(time.time() - proof["iat"]) <= 300
        and proof["ath"] == ath
        and key.thumbprint() == token.claims["cnf"]["jkt"]
        and proof["jti"] not in seen
    )
    if not right:
        raise ValueError("refused")
    seen.add(proof["jti"])


show(f"joserfc {version('joserfc')}", "verified", measure(listed, check), "nonces, duplicate members, size limits, epochs, quotas")
