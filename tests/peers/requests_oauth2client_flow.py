"""requests_oauth2client against the authorization server: pushed request, PKCE, DPoP with nonces, code, refresh,
revocation, client credentials, device, token exchange.

python3 requests_oauth2client_flow.py ISSUER CLIENT_ID PRIVATE_JWK_FILE USERNAME PASSWORD
"""

import html
import json
import re
import sys
import time
import uuid
from urllib.parse import urljoin

import requests
from jwskate import Jwt
from requests_oauth2client import AuthorizationPending, InvalidGrant, OAuth2Client, PrivateKeyJwt


MEMBERS = ("kid", "kty", "crv", "x", "y", "d")


def approve(url, username, password):
    """Signs in and approves by the forms on the pages; the URL that the client is sent back to."""
    browser = Browser(url)
    back = browser.press(browser.sign_in(username, password), "approve")
    assert back.status_code == 303, back.status_code
    return back.headers["location"]


def approve_device(url, username, password):
    """Lets a device in, by the URL that it shows."""
    browser = Browser(url)
    done = browser.press(browser.press(browser.sign_in(username, password), "lookup"), "approve")
    assert done.status_code == 200, done.status_code


class Browser:
    """A user's browser, on the way to one URL."""

    def __init__(self, url):
        self.url, self.session = url, requests.Session()

    def press(self, page, action, **typed):
        """Fills in the form of a page, with what it holds already, and presses one of its buttons."""
        target = urljoin(self.url, html.unescape(re.search(r'<form method="post" action="([^"]*)"', page.text)[1]))
        fields = {}
        for field in re.findall(r"<input [^>]*>", page.text):
            value = re.search(r' value="([^"]*)"', field)
            fields[re.search(r' name="([^"]*)"', field)[1]] = html.unescape(value[1]) if value else ""
        return self.session.post(target, data={**fields, **typed, "action": action}, allow_redirects=False)

    def sign_in(self, username, password):
        """Signs in on the page of the URL; the page behind it."""
        signed_in = self.press(self.session.get(self.url), "login", username=username, password=password)
        assert signed_in.status_code == 303, signed_in.status_code
        return self.session.get(urljoin(self.url, signed_in.headers["location"]))


def bearer_token(jwk, scope):
    """A token of the provider that the server trusts, and that cannot bind tokens."""
    now = int(time.time())
    claims = {"iss": "https://idp.example.com", "aud": "https://api.example.com", "sub": "ada@idp", "jti": str(uuid.uuid4())}
    return str(Jwt.sign({**claims, "iat": now, "exp": now + 60, "scope": scope}, key=jwk, typ="at+jwt"))


def main(issuer, client_id, key_file, username, password):
    metadata = requests.get(f"{issuer}/.well-known/oauth-authorization-server", timeout=10).json()
    with open(key_file) as file:
        jwk = {"alg": "ES256", **{name: value for name, value in json.load(file).items() if name in MEMBERS}}
    client = OAuth2Client(
        token_endpoint=metadata["token_endpoint"],
        authorization_endpoint=metadata["authorization_endpoint"],
        pushed_authorization_request_endpoint=metadata["pushed_authorization_request_endpoint"],
        revocation_endpoint=metadata["revocation_endpoint"],
        introspection_endpoint=metadata["introspection_endpoint"],
        device_authorization_endpoint=metadata["device_authorization_endpoint"],
        issuer=metadata["issuer"],
        authorization_response_iss_parameter_supported=True,
        # FAPI 2.0: the issuer is the only audience.
        auth=PrivateKeyJwt(client_id, jwk, aud=metadata["issuer"]),
        redirect_uri="http://127.0.0.1:43212/callback",
        dpop_bound_access_tokens=True,
        testing=True,
    )
    request = client.authorization_request(scope="read")
    pushed = client.pushed_authorization_request(request)
    answer = request.validate_callback(approve(str(pushed), username, password))
    token = client.authorization_code(answer)
    assert token.token_type.lower() == "dpop" and token.refresh_token
    refreshed = client.refresh_token(token)
    assert refreshed.token_type.lower() == "dpop"
    client.revoke_refresh_token(refreshed.refresh_token or token.refresh_token)
    try:
        client.refresh_token(token)
    except InvalidGrant:
        pass
    else:
        raise AssertionError("a revoked refresh token was good")
    own = client.client_credentials(scope="read")
    assert own.token_type.lower() == "dpop" and own.refresh_token is None

    asked = client.authorize_device(scope="read write")
    try:
        client.device_code(asked, dpop=True)
    except AuthorizationPending:
        pass
    else:
        raise AssertionError("a device got a token before its user decided")
    approve_device(asked.verification_uri_complete, username, password)
    device = client.device_code(asked, dpop=True)
    assert device.token_type.lower() == "dpop"

    access_token = "urn:ietf:params:oauth:token-type:access_token"
    narrowed = client.token_exchange(
        subject_token=device.access_token,
        subject_token_type=access_token,
        dpop=True,
        dpop_key=device.dpop_key,
        scope="read",
    )
    assert narrowed.token_type.lower() == "dpop" and narrowed.issued_token_type == access_token
    bearer = bearer_token(jwk, "read")
    upgraded = client.token_exchange(subject_token=bearer, subject_token_type=access_token, dpop=True)
    assert upgraded.token_type.lower() == "dpop" and upgraded.refresh_token is None
    print("requests_oauth2client: ok")


main(*sys.argv[1:])
