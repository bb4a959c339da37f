"""Coinbase's bearer tokens, checked by hand: no JWT library, so no shared mistake."""

import base64
import binascii
from typing import Any, Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_pem_private_key

PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey

LONGEST_S: Final = 120
"""`exp` lies at most two minutes after `nbf`."""


def public_key(secret: str) -> PublicKey:
    """Return the public half of a secret: PEM, or base64 of an Ed25519 seed with or without its public key."""
    if not secret.startswith("-----"):
        return ed25519.Ed25519PrivateKey.from_private_bytes(base64.b64decode(secret)[:32]).public_key()
    private = load_pem_private_key(secret.encode(), password=None)
    if isinstance(private, ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey):
        return private.public_key()
    raise ValueError("neither an EC nor an Ed25519 key")


def key_id(token: str) -> str:
    """Return the `kid` that a token names, verified or not; empty when it cannot be read."""
    return str(_object(token.partition(".")[0]).get("kid", ""))


def fault_of(token: str, key: PublicKey, *, kid: str, uri: str | None, now_s: float) -> str:
    """Return what is wrong with a token, empty for nothing. `uri` is `None` for the WebSocket, which has none."""
    head, _, rest = token.partition(".")
    payload, _, signature = rest.partition(".")
    header, claims = _object(head), _object(payload)
    algorithm = "ES256" if isinstance(key, ec.EllipticCurvePublicKey) else "EdDSA"
    if header.get("alg") != algorithm or header.get("typ", "JWT") != "JWT" or not header.get("nonce"):
        return "header"
    if header.get("kid") != kid or claims.get("sub") != kid:
        return "kid"
    if not _verifies(key, f"{head}.{payload}".encode(), _decoded(signature)):
        return "signature"
    if claims.get("iss") != "cdp" or claims.get("uri") != uri:
        return "uri" if claims.get("iss") == "cdp" else "iss"
    begins, ends = claims.get("nbf"), claims.get("exp")
    if type(begins) is not int or type(ends) is not int or ends - begins > LONGEST_S:
        return "life"
    return "" if begins <= now_s < ends else "time"


def _verifies(key: PublicKey, text: bytes, signature: bytes) -> bool:
    if len(signature) != 64:
        return False
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, text)
        else:
            r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
            key.verify(encode_dss_signature(r, s), text, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def _object(segment: str) -> dict[str, Any]:
    try:
        decoded = msgspec.json.decode(_decoded(segment))
    except (msgspec.DecodeError, ValueError, RecursionError):
        return {}
    return decoded if isinstance(decoded, dict) else {}


def _decoded(segment: str) -> bytes:
    """Decode base64url without padding; padded text is no JWT."""
    if "=" in segment or not segment.isascii():
        return b""
    try:
        return base64.b64decode(segment + "=" * (-len(segment) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""
