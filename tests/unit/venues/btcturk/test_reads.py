"""BtcTurk: the reads that are tried before they are needed."""

import pytest

from router.venue_protocol import (
    Request,
    Response,
)
from tests.unit.venues.btcturk.canned import BOOK, BTCTURK, envelope, found


@pytest.mark.parametrize(
    ("response", "code", "alert"),
    [
        (found(BOOK), None, False),
        (Response(401, {}, envelope("Unauthorized - Invalid Signature", 1037)), "auth_failed", True),
        (Response(401, {}, envelope("Unauthorized - Invalid Nonce", 1037, success=True)), "clock_skew", False),
        (Response(401, {}, b""), "auth_failed", True),
        (Response(403, {}, b"<html>"), "account_restricted", True),
        (Response(429, {}, envelope("TOO_MANY_REQUESTS", 429)), "rate_limited", False),
        (Response(503, {}, b"<html>"), "venue_unavailable", False),
        (Response(500, {}, envelope("SUCCESS", 0, success=True)), "venue_unavailable", False),
        (Response(400, {}, envelope("SOMETHING_ELSE", 1)), "venue_unavailable", False),
    ],
)
def test_the_probe_needs_a_working_key(response: Response, code: str | None, alert: bool) -> None:
    """Every read that will be needed: open orders, history, one order, trades, pairs. It names what is refused."""
    ends = [found(BOOK), found([]), Response(400, {}, envelope("Order not found", 1152)), found([]), found({})]
    for refused_at in range(5) if code else [5]:
        flow, asked = BTCTURK.probe(), list[Request]()
        answers = [*ends[:refused_at], response]
        try:
            asked.append(next(flow))
            for answer in answers:
                asked.append(flow.send(answer))
        except StopIteration as stop:
            refused = stop.value or None
        assert [read.endpoint for read in asked] == list(SCOPES)[: min(refused_at + 1, 5)]
        assert (refused and refused.code, bool(refused and refused.alert)) == (code, alert)
        assert not refused or asked[-1].endpoint in refused.message


SCOPES = ("open_orders", "all_orders", "order", "trades", "exchange_info")
