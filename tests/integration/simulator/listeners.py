"""Clients of the private feeds that do as each venue's document says, apart from the router's code."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Sequence
from typing import Any, Self

import aiohttp
import jwt
from aiohttp import WSMsgType
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.integration.simulator.clients import BtcTurk, Coinbase, Gmo

WAIT_S = 5.0


class Listener:
    """One connection. `frames` are all that came, decoded; `pings` counts the server's."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse, *, answers_pings: bool = True) -> None:
        self.ws = ws
        self.frames: list[Any] = []
        self.pings = 0
        self.error: BaseException | None = None
        self._answers_pings = answers_pings
        self._news = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    async def until(self, wanted: Callable[[Sequence[Any]], object]) -> None:
        """Wait until the frames are as wanted. Raises `TimeoutError`."""
        async with asyncio.timeout(WAIT_S):
            while not wanted(self.frames):
                self._news.clear()
                await self._news.wait()

    async def take(self, count: int) -> list[Any]:
        """Return the next `count` frames."""
        await self.until(lambda frames: len(frames) >= count)
        taken, self.frames[:count] = self.frames[:count], []
        return taken

    async def say(self, content: object) -> None:
        """Send a message."""
        await self.ws.send_str(json.dumps(content))

    async def ended(self) -> int | None:
        """Wait for the end and return the close code."""
        async with asyncio.timeout(WAIT_S):
            await asyncio.shield(self._reading)
        return self.ws.close_code

    async def close(self) -> None:
        """Leave."""
        await self.ws.close()
        await asyncio.wait([self._reading])

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _read(self) -> None:
        try:
            while True:
                message = await self.ws.receive()
                if message.type is WSMsgType.PING:
                    self.pings += 1
                    if self._answers_pings:
                        await self.ws.pong(message.data)
                elif message.type is WSMsgType.TEXT:
                    self.frames.append(json.loads(message.data))
                elif message.type is not WSMsgType.PONG:
                    self.error = message.data if message.type is WSMsgType.ERROR else None
                    return
                self._news.set()
        finally:
            self._news.set()


async def connect(client: Gmo | Coinbase | BtcTurk, path: str, *, answers_pings: bool = True) -> Listener:
    """Open a connection. Raises `aiohttp.WSServerHandshakeError`."""
    ws = await client.session.ws_connect(client.root + path, autoping=False)
    return Listener(ws, answers_pings=answers_pings)


async def token_of(gmo: Gmo) -> str:
    """Ask for an access token."""
    return str((await gmo.call("POST", "/v1/ws-auth", {})).json["data"])


async def gmo_listener(
    gmo: Gmo, *channels: str, token: str = "", path: str = "/ws/private/v1/", answers_pings: bool = True
) -> Listener:
    """Connect under a token and subscribe, without the pace; none named means all three."""
    listener = await connect(gmo, path + (token or await token_of(gmo)), answers_pings=answers_pings)
    gmo.simulator.behave(rate_limits=False)
    for channel in channels or ("orderEvents", "executionEvents", "positionEvents"):
        note = f"subscribed {channel}"
        already = gmo.simulator.ledger.count("feed", note=note)
        await listener.say({"command": "subscribe", "channel": channel})
        await gmo.simulator.ledger.wait("feed", note=note, count=already + 1)
    return listener


def coinbase_token(coinbase: Coinbase, **claims: object) -> str:
    """Return a token for the user endpoint: it has no `uri`."""
    now_s = int(time.time())
    content = {"sub": coinbase.key, "iss": "cdp", "nbf": now_s - 5, "exp": now_s + 115} | claims
    headers = {"kid": coinbase.key, "nonce": str(time.time_ns())}
    if coinbase.secret.startswith("-----"):
        return jwt.encode(content, coinbase.secret, "ES256", headers)
    seed = Ed25519PrivateKey.from_private_bytes(base64.b64decode(coinbase.secret)[:32])
    return jwt.encode(content, seed, "EdDSA", headers)


def coinbase_subscription(coinbase: Coinbase, channel: str, **fields: object) -> dict[str, object]:
    """Return a subscribe message with a fresh token."""
    return {"type": "subscribe", "channel": channel, "jwt": coinbase_token(coinbase), **fields}


async def coinbase_listener(coinbase: Coinbase, *channels: str) -> Listener:
    """Connect and subscribe; none named means heartbeats and user."""
    listener = await connect(coinbase, "/ws")
    for channel in channels or ("heartbeats", "user"):
        await listener.say(coinbase_subscription(coinbase, channel))
    return listener


def btcturk_login(btcturk: BtcTurk, *, nonce: object = 15000, **fields: object) -> list[object]:
    """Return a login message under the WebSocket's own key pair."""
    pair = btcturk.simulator.secrets(btcturk.simulator.accounts["main"])
    key, secret = pair["ws_api_key"], base64.b64decode(pair["ws_api_secret"])
    signature = base64.b64encode(hmac.new(secret, f"{key}{nonce}".encode(), hashlib.sha256).digest()).decode()
    login = {"type": 114, "publicKey": key, "timestamp": int(time.time() * 1000), "nonce": nonce,
             "signature": signature}  # fmt: skip
    return [114, login | fields]


async def btcturk_listener(btcturk: BtcTurk) -> Listener:
    """Connect and log in; the greeting and the result are read already."""
    listener = await connect(btcturk, "/ws")
    await listener.say(btcturk_login(btcturk))
    await listener.take(2)
    return listener
