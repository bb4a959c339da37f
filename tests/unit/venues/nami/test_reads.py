"""Nami: the reads that are tried before they are needed."""

import pytest

from router.venue_protocol import (
    Refused,
    Response,
)
from tests.unit.venues.nami.canned import NAMI, failure, open_rows, reply, rows, run


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (open_rows(), None),
        (rows(), None),
        (reply({"statusCode": 401, "error": "Unauthorized"}, 401), "auth_failed"),
        (Response(418, {}, b""), "account_restricted"),
        (reply({}, 500), "venue_unavailable"),
        (failure("BROKER_ERROR"), "venue_unavailable"),
    ],
)
def test_the_probe_reads_whatever_will_be_needed(answer: Response, code: str | None) -> None:
    """Open orders, history, trades: what lookups and polls need. It takes the account's own key and changes nothing."""
    paths = ["/api/v4/spot/open", "/api/v4/spot/history", "/api/v4/spot/trade"]
    for refused_at in range(3) if code else [3]:
        found, asked = run(NAMI.probe(), *[rows()] * refused_at, *[answer][: 3 - refused_at])
        assert [(request.method, request.path) for request in asked] == [("GET", path) for path in paths[: len(asked)]]
        assert (found.code if isinstance(found, Refused) else None) == code
        assert isinstance(found, str) or asked[-1].endpoint in found.message
