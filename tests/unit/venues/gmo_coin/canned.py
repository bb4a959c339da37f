"""GMO Coin: canned commands, answers and reads."""

import datetime
import json
from typing import Any

from router.venue_protocol import (
    Response,
    VenueAdapter,
)
from router.venues.gmo_coin import GmoCoin, GmoCoinOptions
from schemas.commands import Cancel, Close

NOT_AFTER = datetime.datetime(2026, 11, 21, 12, 0, 30, tzinfo=datetime.UTC)

GMO: VenueAdapter = GmoCoin(GmoCoinOptions())

DOCUMENTED = b'{"symbol":"BTC_JPY","side":"BUY","executionType":"LIMIT","timeInForce":"FAS","price":"85201",'
DOCUMENTED += b'"settlePosition":[{"positionId":1000342,"size":"3.44"}]}'


def close(**fields: Any) -> Close:
    """Return the document's close, with other fields where given; `None` takes one away."""
    known: dict[str, Any] = {"position_id": "1000342", "side": "buy", "size": "3.44", "symbol": "BTC_JPY"}
    return Close(command_id="c", venue="gmo_coin", account="main", not_after=NOT_AFTER, **known | fields)


def cancel(**fields: Any) -> Cancel:
    """Return a cancel of the document's order."""
    known: dict[str, Any] = {"order_id": "637000"}
    return Cancel(command_id="c", venue="gmo_coin", account="main", not_after=NOT_AFTER, **known | fields)


def failure(*codes: str, status: int = 1, http: int = 200) -> Response:
    """Return the venue's failure envelope."""
    messages = [{"message_code": code, "message_string": f"about {code}"} for code in codes]
    body = {"status": status, "messages": messages, "responsetime": "2019-03-19T02:15:06.108Z"}
    return Response(http, {}, json.dumps(body).encode())
