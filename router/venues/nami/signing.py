"""Sign as the venue's own page does: HMAC-SHA256 over the parameters as a browser writes them ("Authentication")."""

import hmac
import re
from collections.abc import Generator
from typing import Literal
from urllib.parse import quote_plus

import msgspec

from router.venue_protocol import Request, Secrets, SignedRequest, Signer, Stamp


def signer(secrets: Secrets, rest_url: str, placement: Literal["body", "query", "both"]) -> Signer:
    """Key the HMAC once. Raises `ValueError` for a key no header or HMAC can carry."""
    key, secret = secrets.api_key, secrets.api_secret
    if not re.fullmatch(r"[!-~]+", key):
        raise ValueError("the API key is empty or has characters that no header can carry")
    if not secret or secret != secret.strip():
        raise ValueError("the API secret is empty or has white space around it")
    keyed = hmac.new(secret.encode(), digestmod="sha256")
    headers = {"x-api-key": key, "Content-Type": "application/json"}

    def sign(request: Request, stamp: Stamp) -> SignedRequest:
        mac = keyed.copy()
        pairs = (*request.query, *_pairs(request.body), ("timestamp", str(stamp.now_ms)))
        text = signed_text(pairs)
        mac.update(text.encode())
        signature = mac.hexdigest()
        in_query = not request.body or placement != "body"
        in_body = request.body and placement != "query"
        tail = f',"timestamp":{stamp.now_ms},"signature":"{signature}"}}'
        url = rest_url + request.path + (f"?{text}&signature={signature}" if in_query else "")
        body = request.body[:-1] + tail.encode() if in_body else b""
        return SignedRequest(request.method, url, dict(headers), body)

    return sign


def signed_text(pairs: tuple[tuple[str, str], ...]) -> str:
    """Render parameters as JavaScript's `new URLSearchParams(params).toString()`.

    https://url.spec.whatwg.org/#concept-urlencoded-serializer: space is `+`, `*-._` stay, `~` becomes `%7E`.
    """
    return "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in pairs)


def _quoted(text: str) -> str:
    return quote_plus(text, safe="*").replace("~", "%7E")


def _pairs(body: bytes) -> Generator[tuple[str, str], None, None]:
    """Render our own body's values as JavaScript's `String()` does."""
    for name, value in (msgspec.json.decode(body) if body else {}).items():
        yield name, value if isinstance(value, str) else {True: "true", False: "false"}[value]
