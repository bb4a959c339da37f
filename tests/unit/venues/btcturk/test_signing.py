"""BtcTurk: what makes a request the account's own."""

from typing import Literal

import pytest

from router.venue_protocol import (
    Limit,
    Request,
    Secrets,
    Stamp,
)
from router.venues.btcturk import BtcTurk, BtcTurkOptions, BtcTurkSecrets
from tests.unit.venues.btcturk.canned import BTCTURK

KEY = "7d1c0a52-3f0b-4e6a-9a51-0c2d4e8f1b22"

SECRET = "c2VjcmV0LWtleS1mb3ItdGVzdHMtMDEyMzQ1Njc4OQ=="


@pytest.mark.parametrize(
    ("stamp", "signature"),
    [
        (1700000000123, "oety5WYhYoNPziZ46nLlgmoS+zPNvHbMHfCjqaX+jss="),
        (1711954800000, "AXpaxISw2IN2cBMmWuellvrEQ7tG34yVdHiyfPUnCFg="),
        (1700000000000, "Nu4i6eYPYAauSg4ZsjwWGHey/NNN3gKa0fi9ZY7tuqc="),
    ],
)
@pytest.mark.parametrize("method", ["DELETE", "GET"])
def test_signatures_match_the_vectors(stamp: int, signature: str, method: Literal["DELETE", "GET"]) -> None:
    """Only the key and the stamp are signed, with the decoded secret: method, path and query change nothing."""
    sign = BTCTURK.signer(BtcTurkSecrets(api_key=KEY, api_secret=SECRET))
    request = Request(method=method, path="/api/v1/order", endpoint="test", query=(("id", "123456789"),))
    signed = sign(request, Stamp(stamp, ""))
    assert (signed.method, signed.url) == (method, "https://api.btcturk.com/api/v1/order?id=123456789")
    assert signed.headers == {
        "X-PCK": KEY,
        "X-Stamp": str(stamp),
        "X-Signature": signature,
        "Content-Type": "application/json",
    }
    assert signed.body == b""


def test_the_secret_is_decoded_before_it_keys() -> None:
    """Keying with the secret's text gives the signature that the venue refuses."""
    sign = BTCTURK.signer(BtcTurkSecrets(api_key=KEY, api_secret=SECRET))
    signed = sign(Request(method="GET", path="/", endpoint="test"), Stamp(1700000000123, ""))
    assert signed.headers["X-Signature"] != "wgCQFw477xHk3GX+ir2Jhs7104vmAxZLKZYp6Ort8i4="


@pytest.mark.parametrize(
    ("key", "secret"), [("", SECRET), ("k y", SECRET), (KEY, ""), (KEY, "hus"), (KEY, "hush!"), (KEY, "hu☃h")]
)
def test_a_key_that_cannot_be_used_is_not_quoted(key: str, secret: str) -> None:
    """A wrong key fails when it is prepared, without getting into a log."""
    with pytest.raises(ValueError, match="must be") as raised:
        BTCTURK.signer(BtcTurkSecrets(api_key=key, api_secret=secret))
    assert "hu" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_the_streams_keys_are_optional_and_never_shown() -> None:
    """The order stream has a key pair of its own, which does not print itself either."""
    secrets = BtcTurkSecrets(api_key=KEY, api_secret=SECRET, ws_api_key="w", ws_api_secret="hush")
    assert isinstance(secrets, Secrets)
    assert repr(secrets) == "BtcTurkSecrets(…)"


def test_a_trailing_slash_of_the_address_is_dropped() -> None:
    """The URL has one slash between address and path."""
    adapter = BtcTurk(BtcTurkOptions(rest_url="http://a/"))
    signed = adapter.signer(BtcTurkSecrets(api_key=KEY, api_secret=SECRET))(
        Request(method="GET", path="/api/v1/order/1", endpoint="order"), Stamp(1, "")
    )
    assert signed.url == "http://a/api/v1/order/1"


def test_the_venues_window_and_limits_are_the_published_ones() -> None:
    """Five seconds; ten cancels a second and three hundred a minute, per account and per IP."""
    assert BtcTurkOptions().timestamp_window_s == 5.0
    for per in ("account", "ip"):
        assert {(10, 1.0), (300, 60.0)} == rates("delete", per)
        assert {(30, 1.0), (900, 60.0)} == rates("order", per)
    assert rates("open_orders", "ip") == rates("all_orders", "ip") == {(300, 60.0)}
    assert rates("trades", "ip") == {(120, 60.0)}
    assert not rates("open_orders", "account")


def rates(scope: str, per: str) -> set[tuple[int, float]]:
    """Return the limits of a scope."""
    limits: tuple[Limit, ...] = BtcTurk.limits
    return {(limit.count, limit.period_s) for limit in limits if (limit.scope, limit.per) == (scope, per)}
