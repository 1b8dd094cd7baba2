"""requests_oauth2client against the authorization server: pushed request, PKCE, DPoP with nonces, code, refresh, revocation.

python3 requests_oauth2client_flow.py ISSUER CLIENT_ID PRIVATE_JWK_FILE USERNAME PASSWORD
"""

import html
import json
import re
import sys
from urllib.parse import urljoin

import requests
from requests_oauth2client import InvalidGrant, OAuth2Client, PrivateKeyJwt


MEMBERS = ("kid", "kty", "crv", "x", "y", "d")


def approve(url, username, password):
    """Signs in and approves by the forms on the pages; the URL that the client is sent back to."""
    browser = requests.Session()

    def press(page, action, **typed):
        target = urljoin(url, html.unescape(re.search(r'<form method="post" action="([^"]*)"', page.text)[1]))
        token = re.search(r'name="token" value="([^"]*)"', page.text)[1]
        return browser.post(target, data={"token": token, "action": action, **typed}, allow_redirects=False)

    signed_in = press(browser.get(url), "login", username=username, password=password)
    assert signed_in.status_code == 303, signed_in.status_code
    back = press(browser.get(urljoin(url, signed_in.headers["location"])), "approve")
    assert back.status_code == 303, back.status_code
    return back.headers["location"]


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
    print("requests_oauth2client: ok")


main(*sys.argv[1:])
