"""Sign each request with a token of its own: a JWT, ES256 or EdDSA, bound to method, host and path.

https://docs.cdp.coinbase.com/coinbase-app/authentication-authorization/api-key-authentication
"""

import base64
import binascii
from typing import Final
from urllib.parse import urlencode, urlsplit

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from router.venue_protocol import Request, Secrets, SignedRequest, Signer, Stamp

SigningKey = EllipticCurvePrivateKey | Ed25519PrivateKey

LIFETIME_S: Final = 120
BACKDATED_S: Final = 5


def signer(secrets: Secrets, rest_url: str) -> Signer:
    """Parse the key once. Raises `ValueError`, without quoting it, for a key that cannot be used."""
    key, name = signing_key(secrets.api_secret), secrets.api_key
    if not name:
        raise ValueError("the key's name is empty")
    parts = urlsplit(rest_url)
    called = parts.netloc.rpartition("@")[2] + parts.path

    def sign(request: Request, stamp: Stamp) -> SignedRequest:
        uri = f"{request.method} {called}{request.path}"
        jws = token(key, name, uri, stamp.now_ms // 1000 - BACKDATED_S, stamp.nonce)
        headers = {"Authorization": f"Bearer {jws}", "Accept": "application/json"}
        if request.body:
            headers["Content-Type"] = "application/json"
        url = rest_url + request.path + (f"?{urlencode(request.query)}" if request.query else "")
        return SignedRequest(request.method, url, headers, request.body)

    return sign


def signing_key(secret: str) -> SigningKey:
    """Read a P-256 or Ed25519 private key: PEM (also with literal `\\n`), or base64 of an Ed25519 seed or key pair.

    Raises `ValueError` that never quotes the key.
    """
    text = secret.replace("\\n", "\n").strip()
    try:
        if "-----BEGIN" in text:
            key = load_pem_private_key(text.encode(), password=None)
            if isinstance(key, Ed25519PrivateKey):
                return key
            if isinstance(key, EllipticCurvePrivateKey) and isinstance(key.curve, SECP256R1):
                return key
        else:
            raw = base64.b64decode("".join(text.split()), validate=True)
            seed = Ed25519PrivateKey.from_private_bytes(raw[:32])
            if raw[32:] in (b"", seed.public_key().public_bytes_raw()):
                return seed
    except (ValueError, TypeError, binascii.Error, UnsupportedAlgorithm):
        # The cause may quote what it failed on.
        raise ValueError("the private key is neither a PEM nor the base64 of an Ed25519 key") from None
    raise ValueError("the private key is neither P-256 nor Ed25519, or its public half does not belong to it")


def token(key: SigningKey, key_name: str, uri: str | None, nbf_s: int, nonce: str) -> str:
    """Return the JWT of one request, valid for 120 s from `nbf_s`; `uri` is `None` for the WebSocket.

    https://docs.cdp.coinbase.com/coinbase-app/authentication-authorization/api-key-authentication
    """
    claims = {"sub": key_name, "iss": "cdp", "nbf": nbf_s, "exp": nbf_s + LIFETIME_S}
    if uri is not None:
        claims["uri"] = uri
    algorithm = "EdDSA" if isinstance(key, Ed25519PrivateKey) else "ES256"
    return jwt.encode(claims, key, algorithm, headers={"kid": key_name, "nonce": nonce}, sort_headers=True)
