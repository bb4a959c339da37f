"""Sign as "Authentication-Private" says: timestamp + method + path + body, never the query, never `/private`."""

import hashlib
import hmac
import re
from urllib.parse import urlencode

from router.venue_protocol import Request, Secrets, SignedRequest, Signer, Stamp


def signer(secrets: Secrets, rest_url: str, public_url: str) -> Signer:
    """Key the HMAC once. Raises `ValueError` for a key that no header or HMAC can carry, without quoting it."""
    for name, text in (("api_key", secrets.api_key), ("api_secret", secrets.api_secret)):
        if not re.fullmatch(r"[!-~]+", text):
            raise ValueError(f"`{name}` must be printable ASCII without spaces")
    keyed = hmac.new(secrets.api_secret.encode(), digestmod=hashlib.sha256)

    def sign(request: Request, stamp: Stamp) -> SignedRequest:
        query = f"?{urlencode(request.query, safe=',')}" if request.query else ""
        if request.public:
            return SignedRequest(request.method, f"{public_url}{request.path}{query}", {}, request.body)
        mac = keyed.copy()
        mac.update(f"{stamp.now_ms}{request.method}{request.path}".encode())
        # On PUT and DELETE of a token the body is sent and not signed.
        if request.path != "/v1/ws-auth" or request.method == "POST":
            mac.update(request.body)
        headers = {
            "API-KEY": secrets.api_key,
            "API-TIMESTAMP": str(stamp.now_ms),
            "API-SIGN": mac.hexdigest(),
        }
        if request.body:
            headers["Content-Type"] = "application/json"
        return SignedRequest(request.method, f"{rest_url}{request.path}{query}", headers, request.body)

    return sign
