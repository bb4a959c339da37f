"""GMO Coin: the reads that are tried before they are needed."""

import pytest

from router.venue_protocol import (
    Refused,
    Request,
    Response,
)
from tests.unit.venues.gmo_coin.canned import GMO, failure

ENDPOINTS = ("activeOrders", "latestExecutions", "openPositions", "orders", "executions", "symbols")

NOTHING = Response(200, {}, b'{"status":0,"data":{}}')


def probed(*answers: Response) -> tuple[Refused | str, list[Request]]:
    """Return what the probe makes of these answers, and what it asked for."""
    flow, asked = GMO.probe(), list[Request]()
    try:
        asked.append(next(flow))
        for answer in answers:
            asked.append(flow.send(answer))
    except StopIteration as stop:
        found: Refused | str = stop.value
        return found, asked
    raise AssertionError("the probe asks on")


def test_the_probe_reads_whatever_lookups_and_the_feed_will_need() -> None:
    """Permission is per function of a key: one smaller read would hide that a lookup can never end."""
    found, asked = probed(*[NOTHING] * 6)
    assert found == ""
    assert [request.endpoint for request in asked] == list(ENDPOINTS)
    assert {request.method for request in asked} == {"GET"}


@pytest.mark.parametrize("place", range(6))
@pytest.mark.parametrize(
    ("response", "code"),
    [
        (failure("ERR-5012"), "auth_failed"),
        (failure("ERR-5008"), "clock_skew"),
        (failure("ERR-5201", status=5), "venue_maintenance"),
        (Response(401, {}, b""), "auth_failed"),
        (Response(403, {}, b"<html>"), "account_restricted"),
        (Response(503, {}, b"<html>"), "venue_unavailable"),
    ],
)
def test_the_probe_names_what_is_refused(place: int, response: Response, code: str) -> None:
    """The first read that fails ends it."""
    found, asked = probed(*[NOTHING] * place, response)
    assert isinstance(found, Refused)
    assert (found.code, len(asked)) == (code, place + 1)
    assert ENDPOINTS[place] in found.message


def test_an_order_that_nobody_knows_is_an_answer() -> None:
    """The probe asks for order 1: whatever the venue says of it, it was allowed to ask."""
    for code in ("ERR-5123", "ERR-430", "ERR-5106", "ERR-999"):
        assert probed(*[NOTHING] * 3, failure(code), failure(code), NOTHING)[0] == ""
    found, _ = probed(failure("ERR-999"))
    assert isinstance(found, Refused)
    assert found.code == "venue_unavailable"
