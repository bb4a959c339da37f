"""What the rows of a poll say of orders and their executions."""

from typing import Any

from router.venue_protocol import Response
from router.venue_protocol.reading import decimal, iso_ms, iso_time, positive, text_of
from router.venue_protocol.stream import Change, Fill
from router.venues.nami.codes import ORDER_TYPES, SIDES
from router.venues.nami.reads import rows_of, state_of


def collect(response: Response, changes: dict[str, Change]) -> bool:
    """Add the orders of a read; what was read later replaces them. `False` when something could not be read."""
    rows = rows_of(response)
    own = rows_of(response, plain=True) or rows or []
    found = [_change(row, raw) for row, raw in zip(rows or [], own, strict=True)]
    changes.update((change.order_id, change) for change in found if change is not None)
    return rows is not None and None not in found


def _change(row: dict[str, Any], raw: dict[str, Any]) -> Change | None:
    """Translate one order; `None` when it does not say which. `raw` is the same with its numbers as numbers."""
    order_id, state = decimal(row.get("displayingId")), state_of(row)
    if order_id is None:
        return None
    status = "partially_filled" if state.status == "working" and positive(state.filled_size) else state.status
    return Change(
        order_id=order_id,
        symbol=text_of(row.get("symbol")),
        side=SIDES.get(text_of(row.get("side"))),
        order_type=ORDER_TYPES.get(text_of(row.get("type"))),
        status=None if status == "unknown" else status,
        price=positive(row.get("price")),
        size=positive(row.get("quantity")),
        filled_size=state.filled_size,
        venue_time=iso_time(row.get("updatedAt")),
        raw=raw,
    )


def is_fresh(change: Change, since_ms: int) -> bool:
    """Say whether executions of the order may be news: some of it is filled, and it changed since."""
    filled = positive(change.filled_size) is not None
    return filled and (change.venue_time is None or iso_ms(change.venue_time) >= since_ms)


def last_fills(response: Response) -> dict[str, Fill]:
    """Return the newest execution of each order. Without an answer the orders still say how much was filled."""
    newest: dict[str, dict[str, Any]] = {}
    for row in rows_of(response) or []:
        order_id = decimal(row.get("orderId"))
        if not order_id:
            continue
        held = newest.setdefault(order_id, row)  # of two in one instant the first: lists begin with the newest
        if iso_ms(row.get("createdAt")) > iso_ms(held.get("createdAt")):
            newest[order_id] = row
    return {order_id: _fill(row) for order_id, row in newest.items()}


def _fill(row: dict[str, Any]) -> Fill:
    """Translate one execution; its `displayingId` is its own."""
    fee = row.get("feeMetadata")
    charged = fee if isinstance(fee, dict) else {}
    return Fill(
        execution_id=decimal(row.get("displayingId")),
        price=positive(row.get("price")),
        size=positive(row.get("baseQty")),
        fee=decimal(charged.get("feeValue")),
        fee_asset=text_of(charged.get("feeAsset")),
    )
