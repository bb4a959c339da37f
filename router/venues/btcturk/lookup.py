"""Find out where an order stands: one read, and for a canceled stop the lists of its pair."""

from typing import Final

from router.venue_protocol import Attempt, Done, Flow, Refused, Unknown, Working
from router.venues.btcturk import requests
from router.venues.btcturk.reads import data_of, decoded, order_of, state_of
from router.venues.btcturk.stops import look_triggered
from schemas.commands import Cancel, Command

_NO_STOPS: Final = frozenset({"limit", "market"})


def lookup(command: Command, attempt: Attempt) -> Flow:
    """Look for the order that a cancel names."""
    if not isinstance(command, Cancel) or command.order_id is None:
        return Unknown(message="the command names nothing to look for")
    response = yield requests.order(command.order_id)
    answer = decoded(response)
    if answer is not None and answer.not_found and response.status in {200, 400, 404, 422}:
        return Refused(code="order_not_found", venue_code=answer.name, order_id=command.order_id)
    order = order_of(data_of(response, "order"))
    if isinstance(order, Unknown):
        return order
    if str(order.id) != command.order_id:
        return Unknown(message="order: another order was shown", whole=False)
    state = state_of(order)
    if state.status in {"working", "partially_filled"}:
        return Working(order_id=command.order_id, order=state)
    if state.status == "filled":
        return Refused(code="too_late", message="the order is closed", order_id=command.order_id, order=state)
    if state.status != "canceled":
        return Unknown(message=f"order: the unknown status {order.status[:32]}")
    if order.method.lower() not in _NO_STOPS:
        return (yield from look_triggered(order, state, order.pair_symbol or command.symbol, attempt))
    return Done(order_id=command.order_id, order=state)
