"""Sign timestamp, method, path and body."""

import hmac

from router.venue_protocol import Request, Secrets, SignedRequest, Signer, Stamp


def signer(secrets: Secrets, rest_url: str) -> Signer:
    """Key the HMAC once."""
    if not secrets.api_secret:
        raise ValueError("the secret is empty")
    keyed = hmac.new(secrets.api_secret.encode(), digestmod="sha256")

    def sign(request: Request, stamp: Stamp) -> SignedRequest:
        query = "?" + "&".join(f"{name}={value}" for name, value in request.query) if request.query else ""
        mac = keyed.copy()
        mac.update(f"{stamp.now_ms}{request.method}{request.path}{query}".encode() + request.body)
        headers = {"X-Key": secrets.api_key, "X-Time": str(stamp.now_ms), "X-Sign": mac.hexdigest()}
        return SignedRequest(request.method, f"{rest_url}{request.path}{query}", headers, request.body)

    return sign
