"""Look for the order in the list of all."""

from router.venue_protocol import Absent, Done, Flow, Refused, Unknown, Working
from router.venue_protocol.pages import Torn, glimpse
from schemas.commands import Cancel, Command
from schemas.results import OrderState

from .codes import STATUSES
from .reads import read_orders


def lookup(command: Command) -> Flow:
    """Find out where the order stands that a cancel names."""
    if not isinstance(command, Cancel) or command.order_id is None:
        return Unknown(message="nothing to look for")
    listed = yield from read_orders()
    for order in glimpse(listed):
        if order.id == command.order_id:
            state = OrderState(status=STATUSES.get(order.status, "unknown"), size=order.size)
            if state.status == "working":
                return Working(order_id=order.id, order=state)
            if state.status == "filled":
                return Refused(code="too_late", message="filled", order_id=order.id, order=state)
            return Done(order_id=order.id, order=state) if state.status == "canceled" else Unknown(message="status")
    return listed.doubt if isinstance(listed, Torn) else Absent(message="not listed")
