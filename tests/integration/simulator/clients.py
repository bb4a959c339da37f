"""Clients that sign as each venue's document says, apart from the simulators' and from the router's code."""

import base64
import hashlib
import hmac
import itertools
import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import aiohttp
import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from router.simulator.venue import VenueSimulator


class Reply:
    """What came back, read whole."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


class Client:
    """One account at one simulated venue. `root` is scheme, host and port."""

    def __init__(
        self, session: aiohttp.ClientSession, simulator: VenueSimulator, root: str, account: str = "main"
    ) -> None:
        self.session = session
        self.simulator = simulator
        self.root = root
        self.key = simulator.accounts[account].api_key
        self.secret = simulator.accounts[account].api_secret

    async def send(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Reply:
        """Send a request as it is, unsigned."""
        async with self.session.request(method, self.root + path, headers=headers, data=body or None) as response:
            return Reply(response.status, response.headers, await response.read())

    async def control(self, method: str, path: str, content: object = None) -> Reply:
        """Use a control route."""
        return await self.send(method, "/_sim" + path, body=b"" if content is None else json.dumps(content).encode())


class Gmo(Client):
    """GMO Coin."""

    async def call(
        self, method: str, path: str, content: object = None, *, query: str = "", stamp: int | None = None,
        key: str | None = None, secret: str = "", signs: str = "",
    ) -> Reply:  # fmt: skip
        """Sign and send; `signs` is signed instead of method, path and body."""
        body = b"" if content is None else json.dumps(content).encode()
        signed = b"" if method in {"PUT", "DELETE"} else body
        stamped = str(int(time.time() * 1000) if stamp is None else stamp)
        text = signs.encode() or f"{method}{path}".encode() + signed
        signature = hmac.new((secret or self.secret).encode(), stamped.encode() + text, hashlib.sha256).hexdigest()
        headers = {"API-KEY": self.key if key is None else key, "API-TIMESTAMP": stamped, "API-SIGN": signature}
        return await self.send(method, f"/private{path}{query}", headers=headers, body=body)

    async def close(self, position_id: object = 1000342, size: object = "3.44", **fields: object) -> Reply:
        """Close a position at market unless `fields` say otherwise."""
        content = {"symbol": "BTC_JPY", "side": "BUY", "executionType": "MARKET",
                   "settlePosition": [{"positionId": position_id, "size": size}], **fields}  # fmt: skip
        return await self.call("POST", "/v1/closeOrder", content)

    async def cancel(self, order_id: object) -> Reply:
        """Cancel an order."""
        return await self.call("POST", "/v1/cancelOrder", {"orderId": order_id})

    async def order(self, order_id: object) -> Any:
        """Read one order's row."""
        reply = await self.call("GET", "/v1/orders", query=f"?orderId={order_id}")
        return reply.json["data"]["list"][0]


class Coinbase(Client):
    """Coinbase; PyJWT makes the tokens."""

    base = "/api/v3/brokerage"

    def token(self, method: str, path: str, **changes: object) -> str:
        """Return a token, with claims or the headers `kid` and `nonce` changed."""
        now_s = int(time.time())
        claims = {"sub": self.key, "iss": "cdp", "nbf": now_s - 5, "exp": now_s + 115,
                  "uri": f"{method} {self.root.removeprefix('http://')}{path}"}  # fmt: skip
        headers = {"kid": self.key, "nonce": "000102030405060708090a0b0c0d0e0f"}
        headers |= {name: str(changes.pop(name)) for name in list(changes) if name in headers}
        claims |= changes
        if self.secret.startswith("-----"):
            return jwt.encode(claims, self.secret, "ES256", headers)
        seed = Ed25519PrivateKey.from_private_bytes(base64.b64decode(self.secret)[:32])
        return jwt.encode(claims, seed, "EdDSA", headers)

    async def call(self, method: str, path: str, content: object = None, *, query: str = "", token: str = "") -> Reply:
        """Sign and send."""
        headers = {"Authorization": f"Bearer {token or self.token(method, self.base + path)}"}
        body = b"" if content is None else json.dumps(content).encode()
        return await self.send(method, self.base + path + query, headers=headers, body=body)

    async def close(self, client_order_id: str = "c-1", **fields: object) -> Reply:
        """Close the document's product."""
        content = {"client_order_id": client_order_id, "product_id": "BIT-28JUL23-CDE", **fields}
        return await self.call("POST", "/orders/close_position", content)

    async def cancel(self, *order_ids: str) -> list[dict[str, Any]]:
        """Cancel orders and return the rows."""
        reply = await self.call("POST", "/orders/batch_cancel", {"order_ids": order_ids})
        rows: list[dict[str, Any]] = reply.json["results"]
        return rows

    async def order(self, order_id: str) -> Any:
        """Read one order."""
        return (await self.call("GET", f"/orders/historical/{order_id}")).json["order"]


class BtcTurk(Client):
    """BtcTurk; every stamp is new."""

    stamps = itertools.count()

    async def call(
        self, method: str, path: str, *, stamp: int | None = None, secret: str = "", body: bytes = b""
    ) -> Reply:
        """Sign and send."""
        stamped = str(int(time.time() * 1000) + next(self.stamps) if stamp is None else stamp)
        key = base64.b64decode(secret or self.secret)
        signature = base64.b64encode(hmac.new(key, (self.key + stamped).encode(), hashlib.sha256).digest()).decode()
        headers = {"X-PCK": self.key, "X-Stamp": stamped, "X-Signature": signature}
        return await self.send(method, path, headers=headers, body=body)

    async def cancel(self, order_id: object) -> Reply:
        """Cancel an order."""
        return await self.call("DELETE", f"/api/v1/order?id={order_id}")

    async def order(self, order_id: object) -> Any:
        """Read one order."""
        return (await self.call("GET", f"/api/v1/order/{order_id}")).json["data"]


class Nami(Client):
    """Nami; `placement` says where DELETE carries its parameters."""

    def signed(self, fields: Mapping[str, object], *, secret: str = "", stamp: int | None = None) -> dict[str, object]:
        """Append timestamp and signature."""
        signed = {**fields, "timestamp": int(time.time() * 1000) if stamp is None else stamp}
        text = urlencode({name: str(value).lower() if value in {True, False} else value
                          for name, value in signed.items()})  # fmt: skip
        signature = hmac.new((secret or self.secret).encode(), text.encode(), hashlib.sha256).hexdigest()
        return {**signed, "signature": signature}

    async def read(self, path: str, **fields: object) -> Reply:
        """Sign and send a read."""
        query = urlencode(self.signed(fields))
        return await self.send("GET", f"{path}?{query}", headers={"x-api-key": self.key})

    async def cancel(
        self, order_id: object = "435372", *, placement: str = "body", symbol: str = "BTCUSDT", **signing: Any
    ) -> Reply:
        """Cancel an order."""
        fields = {"symbol": symbol, "displayingId": order_id, "allowNotification": False}
        signed = self.signed(fields, **signing)
        query = "" if placement == "body" else "?" + urlencode({**signed, "allowNotification": "false"})
        body = b"" if placement == "query" else json.dumps(signed).encode()
        return await self.send("DELETE", "/api/v4/spot/order" + query, headers={"x-api-key": self.key}, body=body)
