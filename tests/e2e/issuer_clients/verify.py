"""What Python's PyJWT makes of the reference issuer: its discovery document, its tokens and its keys.

    python3 verify.py ISSUER CLIENT SECRET

Prints one JSON object, or fails. PYTHONPATH leads to PyJWT.
"""

import base64
import json
import sys
import urllib.parse
import urllib.request

import jwt


def main(issuer: str, client: str, secret: str) -> None:
    # No proxy of the environment: the issuer is on this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    urllib.request.install_opener(opener)
    with opener.open(f"{issuer}/.well-known/openid-configuration", timeout=20) as answer:
        metadata = json.load(answer)
    assert metadata["issuer"] == issuer, metadata

    form = urllib.parse.urlencode({"grant_type": "client_credentials", "audience": "orders"})
    request = urllib.request.Request(metadata["token_endpoint"], form.encode())
    credentials = base64.b64encode(f"{client}:{secret}".encode()).decode()
    request.add_header("Authorization", f"Basic {credentials}")
    with opener.open(request, timeout=20) as answer:
        token = json.load(answer)["access_token"]

    key = jwt.PyJWKClient(metadata["jwks_uri"], timeout=20).get_signing_key_from_jwt(token)
    claims = jwt.decode(
        token,
        key.key,
        algorithms=["RS256"],
        audience="orders",
        issuer=issuer,
        options={"require": ["iss", "sub", "aud", "iat", "exp", "jti"]},
    )
    header = jwt.get_unverified_header(token)
    refused = False
    try:
        jwt.decode(token, key.key, algorithms=["RS256"], audience="billing", issuer=issuer)
    except jwt.InvalidAudienceError:
        refused = True
    print(
        json.dumps(
            {
                "kid": header["kid"],
                "typ": header["typ"],
                "sub": claims["sub"],
                "client_id": claims["client_id"],
                "roles": claims["roles"],
                "refused_elsewhere": refused,
            }
        )
    )


main(*sys.argv[1:])
