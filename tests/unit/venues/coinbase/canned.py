"""Coinbase: canned commands, answers and reads."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from router.venue_protocol import (
    Attempt,
    Flow,
    LookOutcome,
    Request,
    Response,
    Unknown,
)
from router.venues.coinbase import Coinbase, CoinbaseOptions
from schemas.commands import Cancel, Close

COINBASE = Coinbase(CoinbaseOptions())

SYMBOL = "BIT-28JUL23-CDE"

OURS = "0f9e2c1a-6b5d-5c3e-9a47-2d8f6b1c0e35"

OTHERS = "7d1d7f44-3a2b-4f0e-8f55-0a1b2c3d4e5f"

SENT_MS = 1_700_000_000_999

NOT_AFTER = datetime(2023, 11, 14, 23, 0, tzinfo=UTC)


def close(**fields: Any) -> Close:
    return Close(
        command_id="close-1", venue="coinbase", account="main", not_after=NOT_AFTER, **{"symbol": SYMBOL, **fields}
    )


def cancel(**fields: Any) -> Cancel:
    return Cancel(
        command_id="cancel-1", venue="coinbase", account="main", not_after=NOT_AFTER, **{"order_id": "A-1", **fields}
    )


def reply(body: Any, status: int = 200) -> Response:
    return Response(status, {"content-type": "application/json"}, json.dumps(body).encode())


def order(order_id: str = "A-1", client_order_id: str = OURS, status: str = "FILLED", **fields: Any) -> dict[str, Any]:
    return {
        "order_id": order_id,
        "client_order_id": client_order_id,
        "product_id": SYMBOL,
        "status": status,
        "filled_size": "3" if status == "FILLED" else "0",
        "average_filled_price": "30123.5" if status == "FILLED" else "0",
        "pending_cancel": False,
        "order_configuration": {"market_market_ioc": {"base_size": "3"}},
        **fields,
    }


def orders(*rows: dict[str, Any], has_next: bool = False, cursor: str = "") -> Response:
    return reply({"orders": rows, "sequence": "0", "has_next": has_next, "cursor": cursor})


def fills(*order_ids: str, time: str = "2023-11-14T22:13:20.999Z", cursor: str = "") -> Response:
    rows = [{"order_id": order_id, "product_id": SYMBOL, "trade_time": time, "size": "3"} for order_id in order_ids]
    return reply({"fills": rows, "cursor": cursor})


def positions(contracts: Any = None) -> Response:
    rows = [] if contracts is None else [{"product_id": SYMBOL, "side": "LONG", "number_of_contracts": contracts}]
    return reply({"positions": [*rows, {"product_id": "BIP-20DEC30-CDE", "side": "LONG", "number_of_contracts": "1"}]})


def run(flow: Flow, *answers: Response) -> tuple[LookOutcome, list[Request]]:
    """Feed a flow its canned answers; every one of them must be asked for."""
    asked: list[Request] = []
    waiting = list(answers)
    try:
        asked.append(next(flow))
        while True:
            asked.append(flow.send(waiting.pop(0)))
    except StopIteration as stop:
        assert not waiting, f"never asked for: {waiting}"
        sight: LookOutcome = stop.value
        return sight, asked


def look(command: Close | Cancel, *answers: Response, **attempt: Any) -> LookOutcome:
    known = Attempt(client_order_id=OURS, sent_ms=SENT_MS, now_ms=SENT_MS + 200_000, window_ms=120_000, **attempt)
    return run(COINBASE.lookup(command, known), *answers)[0]


HIDING = json.loads((Path(__file__).parents[3] / "fixtures/coinbase/list_hides_rows.json").read_text())


def refusal(**reasons: Any) -> Response:
    return reply({"success": False, "error_response": reasons})


def cancel_row(succeeded: bool, reason: str, order_id: str = "A-1") -> Response:
    return reply({"results": [{"success": succeeded, "failure_reason": reason, "order_id": order_id}]})


def is_seen(sight: LookOutcome) -> bool:
    """Say whether a look saw what may be ours and decided nothing."""
    return isinstance(sight, Unknown) and sight.seen
