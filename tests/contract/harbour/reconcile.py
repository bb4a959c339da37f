"""Poll the list of all orders."""

from collections.abc import Generator

from router.venue_protocol import Request, Response
from router.venue_protocol.pages import Whole, glimpse
from router.venue_protocol.stream import Change, Known, Missed

from .codes import STATUSES
from .reads import read_orders


def reconcile(known: Known) -> Generator[Request, Response, Missed]:
    """Tell every order of every symbol."""
    listed = yield from read_orders()
    changes = (Change(order_id=order.id, status=STATUSES.get(order.status)) for order in glimpse(listed))
    return Missed(changes=tuple(changes), complete=isinstance(listed, Whole))
