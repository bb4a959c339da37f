"""GMO Coin's private messages (private WebSocket API: orderEvents, executionEvents, positionEvents).

What the letters of `msgType` mean is not explained there. Here an order is NOR when it is new or a stop has fired,
ROR when its price was changed, COR when it was canceled, ER when it expired or traded.
"""

from decimal import Decimal
from typing import Final, Literal

from router.simulator.book import Fill, Order, Position, plain
from router.simulator.venues.gmo_coin.rows import KINDS, iso

CHANNELS: Final = ("orderEvents", "executionEvents", "positionEvents", "positionSummaryEvents")

MessageType = Literal["NOR", "ROR", "COR", "ER"]
PositionType = Literal["OPR", "UPR", "CPR"]

_TYPES: Final[dict[str, str]] = {kind: name for name, kind in KINDS.items()}
_STATUSES: Final = {
    "waiting": "WAITING",
    "working": "ORDERED",
    "canceled": "CANCELED",
    "expired": "EXPIRED",
    "failed": "EXPIRED",
}
_ENDS: Final[dict[str, MessageType]] = {"canceled": "COR", "expired": "ER", "failed": "ER"}


def message_type(before: Order | None, after: Order) -> MessageType | None:
    """Return how orderEvents reports a change; `None` when it does not: a trade, a cancel or change under way."""
    if before is None:
        return "NOR" if after.status in {"waiting", "working"} else None
    if after.status == before.status:
        return "ROR" if after.price != before.price else None
    if after.status == "working":
        return {"waiting": "NOR", "modifying": "ROR"}.get(before.status)  # type: ignore[return-value]  # of these
    return _ENDS.get(after.status)


def order_event(order: Order, kind: MessageType) -> dict[str, object]:
    """Return a row of orderEvents; it has the moment of the order, not of the event."""
    row: dict[str, object] = {
        "channel": "orderEvents",
        "orderId": int(order.order_id),
        "symbol": order.symbol,
        "settleType": "LOSS_CUT" if order.forced else _settle_type(order),
        "executionType": _TYPES[order.kind],
        "side": order.side,
        "orderStatus": _STATUSES[order.status],
        "orderTimestamp": iso(order.created_ms),
        "orderPrice": plain(order.price),
        "orderSize": plain(order.size),
        "orderExecutedSize": plain(order.filled),
        "losscutPrice": "0",
        "timeInForce": order.time_in_force or "FAK",
        "msgType": kind,
    }
    if order.status in _ENDS:
        row["cancelType"] = order.reason or "USER"
    return row


def execution_event(order: Order, fill: Fill) -> dict[str, object]:
    """Return a row of executionEvents; `orderExecutedSize` is cumulative, `positionId` only for a close."""
    row: dict[str, object] = {
        "channel": "executionEvents",
        "orderId": int(order.order_id),
        "executionId": fill.fill_id,
        "symbol": order.symbol,
        "settleType": _settle_type(order),
        "executionType": _TYPES[order.kind],
        "side": order.side,
        "executionPrice": plain(fill.price),
        "executionSize": plain(fill.size),
        "orderTimestamp": iso(order.created_ms),
        "executionTimestamp": iso(fill.at_ms),
        "lossGain": plain(fill.gain.quantize(Decimal(1))),
        "fee": "0",
        "orderPrice": plain(order.price),
        "orderSize": plain(order.size),
        "orderExecutedSize": plain(order.filled),
        "timeInForce": order.time_in_force or "FAK",
        "msgType": "ER",
    }
    if fill.closes:
        row["positionId"] = int(fill.closes)
    return row


def position_event(position: Position, size: Decimal, reserved: Decimal, kind: PositionType) -> dict[str, object]:
    """Return a row of positionEvents; `orderdSize` is the venue's own spelling."""
    return {
        "channel": "positionEvents",
        "positionId": int(position.position_id),
        "symbol": position.symbol,
        "side": position.side,
        "size": plain(size),
        "orderdSize": plain(reserved),
        "price": plain(position.price),
        "lossGain": "0",
        "leverage": "2",
        "losscutPrice": "0",
        "timestamp": iso(position.opened_ms),
        "msgType": kind,
    }


def _settle_type(order: Order) -> str:
    return "CLOSE" if order.closes else "OPEN"
