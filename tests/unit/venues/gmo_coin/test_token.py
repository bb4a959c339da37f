"""GMO Coin: the token of the private socket."""

import json

import pytest

from router.venue_protocol import Request, Secrets
from router.venue_protocol.stream import (
    Ask,
    Broken,
    Connect,
)
from router.venues.gmo_coin import GmoCoin, GmoCoinOptions
from tests.unit.venues.gmo_coin.feeding import FEED, MINUTE, TOKEN, answer, at, live, refusal

SIGN = GmoCoin(GmoCoinOptions()).signer(Secrets(api_key="k", api_secret="testsecret"))

OK = b'{"status":0,"responsetime":"2019-03-19T02:15:06.108Z"}'


def test_a_connection_begins_with_a_token_of_its_own() -> None:
    """The token is asked for with the documented body and is the last part of the socket's address."""
    stream = FEED.stream(None)
    assert stream is not None
    (ask,) = stream.begin(at(0))
    assert isinstance(ask, Ask)
    assert (ask.request.method, ask.request.path, ask.request.body) == ("POST", "/v1/ws-auth", b"{}")
    body = json.dumps({"status": 0, "data": TOKEN, "responsetime": "2019-03-19T02:15:06.108Z"}).encode()
    wants = answer(stream, [ask], body, 0)
    assert wants == (Connect(f"wss://api.coin.z.com/ws/private/v1/{TOKEN}"),)
    assert TOKEN not in repr(wants)


@pytest.mark.parametrize(
    "body",
    [None, b"<html>", b'{"status":0}', b'{"status":0,"data":{}}', b'{"status":0,"data":""}', refusal("ERR-5012"),
     refusal("ERR-5201", 5), b'{"status":0,"data":"a b"}'],
)  # fmt: skip
def test_no_token_no_connection(body: bytes | None) -> None:
    """Whatever is not a token breaks the stream."""
    stream = FEED.stream(None)
    assert stream is not None
    (broken,) = answer(stream, stream.begin(at(0)), body, 0)
    assert isinstance(broken, Broken)
    assert broken.reason.startswith("ws_auth: ")


def test_a_token_is_extended_every_fifteen_minutes() -> None:
    """The extension sends the token in a body that is not signed, long before the hour is over."""
    stream = live()
    assert not stream.tick(at(15 * MINUTE - 1))
    (ask,) = stream.tick(at(15 * MINUTE))
    assert isinstance(ask, Ask)
    assert (ask.request.method, ask.request.body) == ("PUT", b'{"token":"%s"}' % TOKEN.encode())
    unsigned = Request(method="PUT", path="/v1/ws-auth", endpoint="ws_auth")
    assert SIGN(ask.request, at(1)).headers["API-SIGN"] == SIGN(unsigned, at(1)).headers["API-SIGN"]
    assert TOKEN not in repr(ask)
    assert not answer(stream, [ask], OK, 15 * MINUTE)
    assert not stream.tick(at(30 * MINUTE - 1))
    assert stream.tick(at(30 * MINUTE))


@pytest.mark.parametrize("code", ["ERR-5106", "ERR-5012", "ERR-9999"])
def test_a_refused_extension_breaks_the_stream(code: str) -> None:
    """A token that the venue does not know any more was evicted: a new one is needed, and a gap is to be filled."""
    stream = live()
    (broken,) = answer(stream, stream.tick(at(15 * MINUTE)), refusal(code), 15 * MINUTE)
    assert isinstance(broken, Broken)
    assert code in broken.reason


@pytest.mark.parametrize("body", [None, b"<html>", refusal("ERR-5003", 4), refusal("ERR-5201", 5)])
def test_an_extension_that_fails_in_passing_is_tried_again_for_a_while(body: bytes | None) -> None:
    """A lost answer says nothing about the token, but its hour must not run out unnoticed."""
    stream = live()
    assert not answer(stream, stream.tick(at(15 * MINUTE)), body, 15 * MINUTE)
    assert not stream.tick(at(15 * MINUTE + 59_000))
    assert not answer(stream, stream.tick(at(16 * MINUTE)), body, 16 * MINUTE)
    (broken,) = answer(stream, stream.tick(at(45 * MINUTE)), body, 45 * MINUTE)
    assert isinstance(broken, Broken)


def test_the_token_is_deleted_at_the_end() -> None:
    """An account has five tokens; one that was never given needs no goodbye."""
    (ask,) = live().end(at(1))
    assert isinstance(ask, Ask)
    assert (ask.request.method, ask.request.body) == ("DELETE", b'{"token":"%s"}' % TOKEN.encode())
    assert not live().answered(ask.request, None, at(1))
    fresh = FEED.stream(None)
    assert fresh is not None
    assert not fresh.end(at(1))
