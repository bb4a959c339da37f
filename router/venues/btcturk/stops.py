"""Tell a canceled stop from one that was triggered: then another order, its child, executes in its place.

https://github.com/BTCTrader/broker-api-docs/issues/616 shows the two: the child has its parent's `stopPrice`,
`amount` and side, its `time` is the parent's `updateTime`, and its method has no "stop" in it. The client id, equal
there too, is shared by strangers ("advanced": issues 156 and 503), and a plain limit order shows a `stopPrice` as well
(issue 449), so all of it has to fit. What fits except for something that is not shown, or for a time that is near and
not equal, is a doubt: a stop that executes must not be called canceled.
"""

from typing import Final

from router.venue_protocol import Attempt, Done, Flow, Refused, Unknown
from router.venue_protocol.pages import Torn
from router.venue_protocol.reading import same_number, whole_number
from router.venues.btcturk.reads import OrderRow, read_history, read_open, state_of
from schemas.results import OrderState

_LISTED_MS: Final = 10_000  # how long after our send, or its trigger, a stop's new order may not be listed yet
_NEAR_MS: Final = 60_000


def look_triggered(stop: OrderRow, state: OrderState, pair: str | None, attempt: Attempt) -> Flow:
    """Look for the child of a canceled stop. Open orders come first: one that fills in between is seen twice."""
    if not pair:
        return Unknown(message="a canceled stop without a pair: it may have been triggered")
    rows: list[OrderRow] = []
    for reading in (read_open(pair), read_history(pair)):
        listed = yield from reading
        if isinstance(listed, Torn):
            return listed.doubt
        rows += listed.rows
    likeness = {row.id: (is_child(stop, row), row) for row in rows}  # of two rows of one order the later counts
    children = [row for alike, row in likeness.values() if alike]
    if len(children) > 1:
        return Unknown(message="ambiguous: more than one order may be what the stop became", seen=True)
    if children:
        message = "the stop was triggered: another order executes it"
        child = children[0]
        return Refused(code="too_late", message=message, order_id=str(child.id), order=state_of(child))
    if any(alike is None for alike, _ in likeness.values()):
        return Unknown(message="a canceled stop, and an order that may be what it became", seen=True)
    ended_ms = whole_number(stop.update_time) or 0  # the later of the two: it may have been triggered just now
    if attempt.now_ms - max(attempt.sent_ms, min(ended_ms, attempt.now_ms)) < _LISTED_MS:
        return Unknown(message="a canceled stop: whether it was triggered may not be listed yet")
    return Done(order_id=str(stop.id), order=state)


def is_child(stop: OrderRow, other: OrderRow) -> bool | None:
    """Say whether an order is what a stop became; `None` when nothing speaks against it and not all for it."""
    ended_ms, began_ms = whole_number(stop.update_time), whole_number(other.time)
    apart_ms = abs(began_ms - ended_ms) if began_ms and ended_ms else None
    marks = (
        other.id > stop.id,
        other.type.lower() == stop.type.lower() if other.type and stop.type else None,
        "stop" not in other.method.lower() if other.method else None,
        same_number(other.stop_price, stop.stop_price),
        same_number(other.amount, stop.amount),
        None if apart_ms is None or 0 < apart_ms <= _NEAR_MS else apart_ms == 0,
    )
    if False in marks:
        return False
    return None if None in marks else True
