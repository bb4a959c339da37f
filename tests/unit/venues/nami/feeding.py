"""Nami: canned frames and reads of a feed."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from router.venue_protocol import Request, Response
from router.venue_protocol.stream import Known, Missed
from router.venues.nami import Nami, NamiOptions

FIXTURES = Path(__file__).parents[3] / "fixtures" / "nami"

NAMI = Nami(NamiOptions())

SINCE_MS = int(datetime(2024, 1, 1, 0, 1, tzinfo=UTC).timestamp() * 1000)

BEFORE, AFTER = "2024-01-01T00:00:54.999Z", "2024-01-01T00:01:01.000Z"


def documented(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FIXTURES / f"stream_{name}.json").read_bytes())["body"]
    return found


def reply(body: Any, status: int = 200) -> Response:
    return Response(status, {}, json.dumps(body).encode())


def rows(*found: Any) -> Response:
    return reply({"status": "ok", "data": found})


def order(order_id: int = 435372, status: str = "NEW", executed: Any = 0, **fields: Any) -> dict[str, Any]:
    return {"displayingId": order_id, "symbol": "BTCUSDT", "status": status, "quantity": 2, "executedQty": executed,
            "updatedAt": BEFORE, **fields}  # fmt: skip


def trade(order_id: int = 435372, number: str = "8415", **fields: Any) -> dict[str, Any]:
    return {**documented("order_trades")["data"][0], "displayingId": number, "orderId": order_id, **fields}


def poll(*answers: Response, open_orders: Sequence[tuple[str, str | None]] = ()) -> tuple[Missed, list[Request]]:
    """Feed a poll its canned answers; every one of them must be asked for."""
    flow = NAMI.reconcile(Known(since_ms=SINCE_MS, open_orders=tuple(open_orders)))
    waiting = list(answers)
    asked: list[Request] = []
    try:
        asked.append(next(flow))
        while True:
            asked.append(flow.send(waiting.pop(0)))
    except StopIteration as stop:
        assert not waiting, f"never asked for: {waiting}"
        missed: Missed = stop.value
        return missed, asked
