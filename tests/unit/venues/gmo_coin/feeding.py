"""GMO Coin: canned frames and reads of a feed."""

import json
from collections.abc import Sequence
from pathlib import Path

from hypothesis import strategies as st

from router.venue_protocol import Response, Stamp
from router.venue_protocol.stream import (
    Ask,
    Connect,
    Feed,
    Ready,
    Stream,
    Want,
)
from router.venues.gmo_coin import GmoCoin, GmoCoinOptions

FEED: Feed = GmoCoin(GmoCoinOptions())

TOKEN = "xxxxxxxxxxxxxxxxxxxx"

MINUTE = 60_000

FIXTURES = sorted((Path(__file__).parents[3] / "fixtures/gmo_coin").glob("stream_*.json"))


def at(now_ms: int) -> Stamp:
    """Return a stamp."""
    return Stamp(now_ms, "n")


def refusal(code: str, status: int = 1) -> bytes:
    """Return an error's body."""
    message = {"message_code": code, "message_string": "text"}
    return json.dumps({"status": status, "messages": [message], "responsetime": "2019-03-19T02:15:06.108Z"}).encode()


def answer(stream: Stream, wants: Sequence[Want], body: bytes | None, now_ms: int, status: int = 200) -> Sequence[Want]:
    """Answer the one thing that the stream asks for; no body is no answer."""
    (ask,) = wants
    assert isinstance(ask, Ask)
    return stream.answered(ask.request, None if body is None else Response(status, {}, body), at(now_ms))


def connected(token: str = TOKEN) -> Stream:
    """Return a stream whose socket is open, at time 0."""
    stream = FEED.stream(None)
    assert stream is not None
    body = json.dumps({"status": 0, "data": token, "responsetime": "2019-03-19T02:15:06.108Z"}).encode()
    assert isinstance(answer(stream, stream.begin(at(0)), body, 0)[0], Connect)
    stream.opened(at(0))
    return stream


def live() -> Stream:
    """Return a stream that has said that it is ready."""
    stream = connected()
    assert stream.tick(at(6_000)) == (Ready(),)
    return stream


WORDS = sorted({word for path in FIXTURES for word in json.loads(json.loads(path.read_bytes())["frame"])})

VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(WORDS)
