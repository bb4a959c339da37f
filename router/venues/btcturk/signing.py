"""Sign key and stamp ("Authentication V1"), and the login of the stream ("WebSocket Feed, Authentication")."""

import base64
import binascii
import hashlib
import hmac
import re
from typing import Final
from urllib.parse import urlencode

import msgspec

from router.venue_protocol import Request, Secrets, SignedRequest, Signer, Stamp

LOGIN: Final = 114
_NONCE: Final = 15_000  # of a login: a small constant, which the venue's own library uses; not a time


class BtcTurkSecrets(Secrets, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The order stream takes a key pair of its own."""

    ws_api_key: str = ""
    ws_api_secret: str = ""

    __repr__ = Secrets.__repr__


def signer(secrets: BtcTurkSecrets, rest_url: str) -> Signer:
    """Key the HMAC once. Raises `ValueError` for a key that cannot be used, without quoting it."""
    if not re.fullmatch(r"[!-~]+", secrets.api_key):
        raise ValueError("`api_key` must be printable ASCII without spaces")
    secret = _decoded(secrets.api_secret)
    if not secret:
        raise ValueError("`api_secret` must be base64")
    keyed = hmac.new(secret, secrets.api_key.encode(), hashlib.sha256)

    def sign(request: Request, stamp: Stamp) -> SignedRequest:
        query = f"?{urlencode(request.query)}" if request.query else ""
        url = f"{rest_url}{request.path}{query}"
        if request.public:
            return SignedRequest(request.method, url, {}, request.body)
        now_ms = str(stamp.now_ms)
        mac = keyed.copy()
        mac.update(now_ms.encode())
        headers = {
            "X-PCK": secrets.api_key,
            "X-Stamp": now_ms,
            "X-Signature": base64.b64encode(mac.digest()).decode(),
            "Content-Type": "application/json",
        }
        return SignedRequest(request.method, url, headers, request.body)

    return sign


def login(key: str, secret: str, stamp: Stamp) -> str | None:
    """Sign key and nonce; `timestamp` is sent and not signed. `None` for a key pair that cannot be used."""
    decoded = _decoded(secret)
    if not decoded or not re.fullmatch(r"[!-~]+", key):
        return None
    mac = hmac.new(decoded, f"{key}{_NONCE}".encode(), hashlib.sha256)
    body = {
        "type": LOGIN,
        "publicKey": key,
        "timestamp": stamp.now_ms,
        "nonce": _NONCE,
        "signature": base64.b64encode(mac.digest()).decode(),
    }
    return msgspec.json.encode([LOGIN, body]).decode()


def _decoded(secret: str) -> bytes:
    try:
        return base64.b64decode(secret, validate=True)
    except (binascii.Error, ValueError):
        return b""
