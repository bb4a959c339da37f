"""BtcTurk: canned commands, answers and reads."""

import datetime
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from router.venue_protocol import (
    Attempt,
    LookOutcome,
    Request,
    Response,
    VenueAdapter,
)
from router.venues.btcturk import BtcTurk, BtcTurkOptions
from schemas.commands import Cancel, Close, Command
from schemas.results import OrderState

NOT_AFTER = datetime.datetime(2026, 11, 21, 12, 0, 30, tzinfo=datetime.UTC)

BTCTURK: VenueAdapter = BtcTurk(BtcTurkOptions())

ONE = "0f9e2c1a-6b5d-5c3e-9a47-2d8f6b1c0e35"

CLOSE = Close(command_id="c", venue="btcturk", account="main", symbol="BTCTRY", not_after=NOT_AFTER)


def cancel(**fields: Any) -> Cancel:
    """Return a cancel of the document's order."""
    known: dict[str, Any] = {"order_id": "123456789"}
    return Cancel(command_id="c", venue="btcturk", account="main", not_after=NOT_AFTER, **known | fields)


def envelope(message: str | None, code: int | None, *, success: bool = False, **fields: Any) -> bytes:
    """Return an answer's body."""
    return json.dumps({"success": success, "message": message, "code": code} | fields).encode()


def order(order_id: int = 123456789, **fields: Any) -> dict[str, Any]:
    """Return an order as the venue shows it."""
    return {
        "id": order_id,
        "price": "5.7192",
        "amount": "174.84",
        "quantity": "174.84",
        "stopPrice": "0",
        "pairSymbol": "HNTUSDT",
        "pairSymbolNormalized": "HNT_USDT",
        "type": "sell",
        "method": "limit",
        "orderClientId": "client-1",
        "time": 1700000000000,
        "updateTime": 1700000001000,
        "status": "Untouched",
        "leftAmount": "174.84",
    } | fields


def found(data: Any) -> Response:
    """Return a successful read."""
    return Response(200, {}, envelope(None, 0, success=True, data=data))


SENT_MS = 1_743_894_644_710
"""When the stop of the fixture ended."""


def look(
    answers: Sequence[Response], command: Command | None = None, after_ms: int = 10_000
) -> tuple[LookOutcome, list[Request]]:
    """Feed a lookup these answers in order, all of them; return its sight and the reads it made."""
    reads: list[Request] = []
    sight = sighted(answers, command, reads, after_ms)
    assert len(reads) == len(answers), "every canned answer is read"
    return sight, reads


def sighted(
    answers: Sequence[Response],
    command: Command | None = None,
    reads: list[Request] | None = None,
    after_ms: int = 10_000,
) -> LookOutcome:
    """Feed a lookup as many of these answers as it asks for; return its sight."""
    attempt = Attempt(client_order_id=ONE, sent_ms=SENT_MS, now_ms=SENT_MS + after_ms)
    flow = BTCTURK.lookup(command or cancel(), attempt)
    reads = [] if reads is None else reads
    try:
        reads.append(next(flow))
        for answer in answers:
            reads.append(flow.send(answer))
    except StopIteration as stop:
        sight: LookOutcome = stop.value
        return sight
    raise AssertionError(f"no answer to {reads[-1].path}")


def state(status: Any, filled: str | None, size: str = "174.84") -> OrderState:
    """Return an order's state."""
    return OrderState(status=status, size=size, filled_size=filled)


FAMILY = json.loads((Path(__file__).parents[3] / "fixtures/btcturk/stop_triggered.json").read_text())

STOP: dict[str, Any] = FAMILY["stop"] | {"id": 123456789}

BOOK: dict[str, Any] = {"asks": [], "bids": []}
