"""Nami: what makes a request the account's own."""

import hashlib
import hmac
from typing import Literal

import pytest

from router.venue_protocol import (
    Request,
    Secrets,
    SignedRequest,
    Stamp,
)
from router.venues.nami import Nami, NamiOptions, signed_text
from tests.unit.venues.nami.canned import NAMI, built

# Both are the samples that the venue's own pages publish.
SECRETS = Secrets(
    api_key="N3LbmwMAXcObdVYdP8KTMYjsi94CUpEh8C3F2xhDKdxbkfQn8Bi3FQP7LudeN9Vb",
    api_secret="UNCZHD1e4501X1WGO9PqjGJBDqWoNjUlc05YZTy38t9Wd7rHWmrmtfKfb1Vpb5RH",
)

STAMP = Stamp(1_670_000_000_000, "unused")

N3 = "bf4b817ad1a2faf40cf03146d336523b532ea45ab50b891cf7d2c32429216f48"

N3_TEXT = "symbol=BTCUSDT&displayingId=435372&allowNotification=false&timestamp=1670000000000"

N3_BODY = (
    b'{"symbol":"BTCUSDT","displayingId":"435372","allowNotification":false,"timestamp":1670000000000,"signature":"'
    + N3.encode()
    + b'"}'
)


def signed(request: Request, venue: Nami = NAMI, stamp: Stamp = STAMP) -> SignedRequest:
    return venue.signer(SECRETS)(request, stamp)


def read(path: str, *query: tuple[str, str]) -> Request:
    return Request(method="GET", path=path, endpoint="read", query=query)


@pytest.mark.parametrize(
    ("path", "query", "now_ms", "text", "signature"),
    [
        (
            "/api/v4/user/balance",
            (("type", "0"),),
            1721284769720,
            "type=0&timestamp=1721284769720",
            "2cc8df81fc34801e6b6f7dbaf79e72ab098bf5461973239689e32e71368cd145",
        ),
        (
            "/api/v4/spot/order",
            (
                ("symbol", "NAMIVNDC"),
                ("side", "SELL"),
                ("type", "LIMIT"),
                ("quantity", "50000"),
                ("price", "600"),
            ),
            1721284021975,
            "symbol=NAMIVNDC&side=SELL&type=LIMIT&quantity=50000&price=600&timestamp=1721284021975",
            "87455e30b15d4d2fe234eeec92cfc165f8b8647bf583ce09f0bdb6b3c6a09b77",
        ),
        (
            "/api/v4/spot/open",
            (),
            1670000000000,
            "timestamp=1670000000000",
            "63aad0fac95a943591f8514850ac0ec5914d8be466ad6e1405d3dcc7b0f0c639",
        ),
        (
            "/api/v4/spot/open",
            (("filterByPair", "BTCUSDT"),),
            1670000000000,
            "filterByPair=BTCUSDT&timestamp=1670000000000",
            "591c4d9f8693dfefc4f26c5d584b50f199c383d078eed6c0cc6bb555f1bee960",
        ),
        (
            "/api/v4/spot/history",
            (
                ("symbol", "BTCUSDT"),
                ("hideCanceled", "false"),
                ("pageSize", "50"),
                ("page", "1"),
                ("timeFrom", "2024-01-01T00:00:00Z"),
            ),
            1670000000000,
            "symbol=BTCUSDT&hideCanceled=false&pageSize=50&page=1&timeFrom=2024-01-01T00%3A00%3A00Z"
            "&timestamp=1670000000000",
            "85959f2644dd34adc784bcf408aac8ddc3e5298951753e89e95fa920592a406a",
        ),
    ],
    ids=["N1", "N2", "N4", "N5", "N6"],
)
def test_a_read_is_signed_in_its_query(
    path: str, query: tuple[tuple[str, str], ...], now_ms: int, text: str, signature: str
) -> None:
    """The signed text is the query itself, the timestamp last and the signature after it, byte for byte."""
    ready = signed(read(path, *query), stamp=Stamp(now_ms, "unused"))
    assert ready.url == f"https://nami.exchange{path}?{text}&signature={signature}"
    assert ready.body == b""


def test_a_cancel_carries_its_signature_last_in_the_body() -> None:
    """The body keeps the signed order, then timestamp as a number, then signature (vector N3)."""
    ready = signed(built())
    assert (ready.method, ready.url) == ("DELETE", "https://nami.exchange/api/v4/spot/order")
    assert ready.body == N3_BODY


@pytest.mark.parametrize(
    ("placement", "url", "body"),
    [
        ("body", "https://nami.exchange/api/v4/spot/order", N3_BODY),
        ("query", f"https://nami.exchange/api/v4/spot/order?{N3_TEXT}&signature={N3}", b""),
        ("both", f"https://nami.exchange/api/v4/spot/order?{N3_TEXT}&signature={N3}", N3_BODY),
    ],
)
def test_placement_moves_parameters_and_signature(
    placement: Literal["body", "query", "both"], url: str, body: bytes
) -> None:
    """The pages contradict each other, so the place is a switch; what is signed stays the same."""
    venue = Nami(NamiOptions(placement=placement, rest_url="https://nami.exchange/"))
    ready = signed(built(venue), venue)
    assert (ready.url, ready.body) == (url, body)


def test_only_the_public_key_leaves() -> None:
    """The endpoint pages ask for the secret in `x-api-key`; that is a slip of theirs and never happens here."""
    ready = signed(built())
    assert ready.headers == {"x-api-key": SECRETS.api_key, "Content-Type": "application/json"}
    assert SECRETS.api_secret not in repr((ready.url, ready.body, ready.headers))


def test_values_are_written_as_a_browser_writes_them() -> None:
    """Space is +, `~` is escaped and `*` is not, the reverse of Python's own."""
    assert signed_text((("a b", "~*-._:/é"),)) == "a+b=%7E*-._%3A%2F%C3%A9"


def test_allow_notification_is_signed_as_javascript_prints_it() -> None:
    """True is `true` in the signed text and in the body, not Python's `True`."""
    request = built(params={"allow_notification": True})
    text = N3_TEXT.replace("false", "true")
    signature = hmac.digest(SECRETS.api_secret.encode(), text.encode(), hashlib.sha256).hex()
    assert signed(request).body == N3_BODY.replace(b"false", b"true").replace(N3.encode(), signature.encode())


@pytest.mark.parametrize(
    ("api_key", "api_secret"), [("", "s"), ("ключ", "s"), ("a\r\nb", "s"), ("k", ""), ("k", " SECRETWORD\n")]
)
def test_keys_that_cannot_be_used_are_refused_without_quoting_them(api_key: str, api_secret: str) -> None:
    """A key with a line break would end a header; one with white space around it signs something else."""
    with pytest.raises(ValueError, match=r"the API (key|secret) is empty or has") as caught:
        NAMI.signer(Secrets(api_key=api_key, api_secret=api_secret))
    assert "SECRETWORD" not in str(caught.value)
