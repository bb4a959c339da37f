"""GMO Coin: what the venue shows to a look."""

import datetime
import json
from collections.abc import Mapping, Sequence
from typing import Any

from router.venue_protocol import (
    Attempt,
    LookOutcome,
    Request,
    Response,
    Unknown,
    VenueAdapter,
)
from router.venues.gmo_coin import GmoCoin, GmoCoinOptions
from schemas.commands import Close, Command

NOT_AFTER = datetime.datetime(2026, 11, 21, 12, 0, 30, tzinfo=datetime.UTC)

GMO: VenueAdapter = GmoCoin(GmoCoinOptions())

SENT_MS = 1_763_726_400_000

CLOSE = Close(
    command_id="c",
    venue="gmo_coin",
    account="main",
    symbol="BTC_JPY",
    not_after=NOT_AFTER,
    position_id="1000342",
    side="buy",
    size="3.44",
    order_type="limit",
    price="85201",
)

Row = dict[str, Any]

Reads = Mapping[str, Sequence[Row] | Response]


def at(after_ms: int) -> str:
    """Write a time as the venue does, so long after the send."""
    time = datetime.datetime.fromtimestamp((SENT_MS + after_ms) / 1000, datetime.UTC)
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def order(order_id: int = 637000, after_ms: int = 30, **fields: Any) -> Row:
    """Return a row of orders and activeOrders, by default the order that CLOSE places."""
    return {
        "rootOrderId": order_id,
        "orderId": order_id,
        "symbol": "BTC_JPY",
        "side": "BUY",
        "orderType": "NORMAL",
        "executionType": "LIMIT",
        "settleType": "CLOSE",
        "size": "3.44",
        "executedSize": "0",
        "price": "85201",
        "losscutPrice": "0",
        "status": "ORDERED",
        "timeInForce": "FAS",
        "timestamp": at(after_ms),
    } | fields


def execution(order_id: int = 637000, after_ms: int = 40, **fields: Any) -> Row:
    """Return a row of latestExecutions, by default one that closes CLOSE's position."""
    return {
        "executionId": 72123,
        "orderId": order_id,
        "positionId": 1000342,
        "symbol": "BTC_JPY",
        "side": "BUY",
        "settleType": "CLOSE",
        "size": "3.44",
        "price": "85201",
        "lossGain": "0",
        "fee": "-171",
        "timestamp": at(after_ms),
    } | fields


def position(orderd_size: str = "0") -> Row:
    """Return CLOSE's position as openPositions shows it."""
    return {"positionId": 1000342, "symbol": "BTC_JPY", "side": "SELL", "size": "10.32", "orderdSize": orderd_size}


def answered(rows: Sequence[Row], page: int = 1) -> Response:
    """Return rows as the venue does: an empty list is `{}`."""
    data = {"pagination": {"currentPage": page, "count": 100}, "list": rows} if rows else {}
    return Response(200, {}, json.dumps({"status": 0, "data": data}).encode())


def look(command: Command, reads: Reads, **attempt: Any) -> LookOutcome:
    """Run a lookup against what each endpoint shows; `orders` answers with the ids that were asked for."""
    known = {"sent_ms": SENT_MS, "now_ms": SENT_MS + 70_000} | attempt
    flow = GMO.lookup(command, Attempt(client_order_id="x", **known))
    try:
        request = next(flow)
        while True:
            request = flow.send(answer(request, reads))
    except StopIteration as stop:
        sight: LookOutcome = stop.value
        return sight


def answer(request: Request, reads: Reads) -> Response:
    """Answer one read, page by page."""
    assert (request.method, request.scopes, request.public) == ("GET", ("get",), False)
    query = dict(request.query)
    shown = reads.get(request.endpoint, ())
    if isinstance(shown, Response):
        return shown
    if request.endpoint == "orders":
        ids = query["orderId"].split(",")
        assert len(ids) <= 10
        return answered([row for row in shown if str(row["orderId"]) in ids])
    assert query["symbol"] == "BTC_JPY"
    first = (int(query["page"]) - 1) * int(query["count"])
    return answered(list(shown)[first : first + int(query["count"])], int(query["page"]))


def is_seen(sight: LookOutcome) -> bool:
    """Say whether a look saw what may be ours and decided nothing."""
    return isinstance(sight, Unknown) and sight.seen


BROKEN = [
    Response(200, {}, b'{"status":0}'),
    Response(200, {}, b'{"status":0,"data":null}'),
    Response(
        200, {}, b'{"status":4,"messages":[{"message_code":"ERR-5003","message_string":"Requests are too many."}]}'
    ),
    Response(503, {}, b'{"status":0,"data":{}}'),
    Response(200, {}, b"<html>"),
    Response(200, {}, b'{"status":0,"data":{"list":[{"orderId":"637000"}]}}'),
    Response(200, {}, b'{"status":0,"data":{"list":{}}}'),
    Response(200, {}, b'{"status":1,"data":{}}'),
]
