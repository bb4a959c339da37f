"""GMO Coin: what makes a request the account's own."""

from typing import Literal

import pytest

from router.venue_protocol import (
    Request,
    Secrets,
    Stamp,
)
from router.venues.gmo_coin import GmoCoin, GmoCoinOptions
from tests.unit.venues.gmo_coin.canned import DOCUMENTED, GMO

LONG = "jFRfAL7PiFLvYP6rS9u6TmTjTyVI1z21QXgDqxsCdPkMmN6I"

TEST_MS = 1_700_000_000_000

VECTORS = [
    (LONG, 2085848896000, "GET", "/v1/activeOrders", b"",
     "e6f0c55c381b08f0892daad0c5e27f69050dab787d98e45680802e340849978a"),
    (LONG, 2085848896000, "POST", "/v1/order",
     b'{"symbol": "BTC_JPY", "side": "BUY", "executionType": "MARKET", "size": 0.01}',
     "b6e96f0fe71993d29b50dc8a9a0bebe974fb38749e2ee7aed1e4abb845b063bf"),
    ("hoge", 1721121776490, "GET", "/v1/account/assets", b"",
     "daff080eff4acc3aca91b9cc2ba84c6c1f302a2c7625683c8d80345d988d724d"),
    ("hoge", 1721121776490, "POST", "/v1/order",
     b'{"symbol":"BTC","side":"BUY","executionType":"LIMIT","timeInForce":"FAS","price":"1234000","size":"0.0001"}',
     "5a3fc2c0f55d487fd6e53b0bac35cf6a22ab1c7077763405a4875d351fd0b0f8"),
    ("testsecret", TEST_MS, "GET", "/v1/account/assets", b"",
     "092117ad0f2facd0a5766da9f7598e0d2930a2fecc06b4f9b8868a2690941aff"),
    ("testsecret", TEST_MS, "POST", "/v1/order", b'{"symbol":"BTC"}',
     "04b5106c6f57d5f1b20ff1bd032c39bcb4be254de39ef893bc037b6dd838fb5e"),
    ("testsecret", TEST_MS, "DELETE", "/v1/ws-auth", b'{"token":"x"}',
     "9cd2a01df97eb8b398240d3836c2b6703bd6f7e12638f53e690cb78a24ae8aea"),
    ("testsecret", TEST_MS, "PUT", "/v1/ws-auth", b'{"token":"x"}',
     "b5879dd828b5c70f5af4f0ab566a0306a7d51b146a00d34c518669e035f4027d"),
    ("testsecret", TEST_MS, "POST", "/v1/ws-auth", b"{}",
     "cdfb239015c3c39ef45bdf7e9cda685148eae47b725b7105f1cf2446d6f1d20e"),
    ("testsecret", TEST_MS, "POST", "/v1/cancelOrder", b'{"orderId":637000}',
     "72febfd7564d075548210779382f98980f9ed3bfeee4e7d809b076982f6ea423"),
    ("testsecret", TEST_MS, "POST", "/v1/closeOrder", DOCUMENTED,
     "ca9fe610d4554634b786fd792afa1908c6d82a993e11db6e220bd80fae3c3626"),
]  # fmt: skip

Method = Literal["GET", "POST", "PUT", "DELETE"]


@pytest.mark.parametrize(("secret", "now_ms", "method", "path", "body", "wanted"), VECTORS)
def test_signatures_match_the_vectors(
    secret: str, now_ms: int, method: Method, path: str, body: bytes, wanted: str
) -> None:
    """Timestamp, method, path and body are signed; the query never, the body of PUT and DELETE ws-auth neither."""
    request = Request(method=method, path=path, endpoint="test", query=(("symbol", "BTC_JPY"),), body=body)
    signed = GMO.signer(Secrets(api_key="key", api_secret=secret))(request, Stamp(now_ms, ""))
    assert signed.url == f"https://api.coin.z.com/private{path}?symbol=BTC_JPY"
    assert (signed.method, signed.body) == (method, body)
    content = {"Content-Type": "application/json"} if body else {}
    assert signed.headers == {"API-KEY": "key", "API-TIMESTAMP": str(now_ms), "API-SIGN": wanted} | content


def test_one_signer_signs_many_requests() -> None:
    """A signature does not depend on what was signed before."""
    sign = GMO.signer(Secrets(api_key="key", api_secret="testsecret"))
    request = Request(method="GET", path="/v1/account/assets", endpoint="test")
    assert len({sign(request, Stamp(TEST_MS, "")).headers["API-SIGN"] for _ in range(3)}) == 1


def test_a_public_read_is_not_signed() -> None:
    """What needs no key must not carry one."""
    adapter = GmoCoin(GmoCoinOptions(rest_url="http://a/private/", public_url="http://a/public/"))
    sign = adapter.signer(Secrets(api_key="key", api_secret="testsecret"))
    public = sign(Request(method="GET", path="/v1/status", endpoint="status", public=True), Stamp(1, ""))
    assert (public.url, public.headers) == ("http://a/public/v1/status", {})
    private = sign(
        Request(method="GET", path="/v1/orders", endpoint="orders", query=(("orderId", "1,2"),)), Stamp(1, "")
    )
    assert private.url == "http://a/private/v1/orders?orderId=1,2"


@pytest.mark.parametrize(
    ("key", "secret"), [("", "good"), ("good", ""), ("bad\nkey", "good"), ("good", "sn☃w"), ("good", "\ud800")]
)
def test_a_key_that_cannot_be_used_is_not_quoted(key: str, secret: str) -> None:
    """A wrong key fails when it is prepared, without getting into a log."""
    with pytest.raises(ValueError, match="printable ASCII") as raised:
        GMO.signer(Secrets(api_key=key, api_secret=secret))
    assert "sn" not in str(raised.value).replace("ASCII", "")
    assert "bad" not in str(raised.value)
