"""Poll: two reads when nothing happened, a third when something was filled, more for an order that vanished."""

from collections.abc import Generator
from typing import Final

import msgspec

from router.venue_protocol import Request, Response
from router.venue_protocol.pages import Whole, glimpse, read_all
from router.venue_protocol.reading import decimal
from router.venue_protocol.stream import Change, Known, Missed
from router.venues.nami.poll import collect, is_fresh, last_fills
from router.venues.nami.reads import MAX_PAGES, HistoryPages, not_read, rows_of
from router.venues.nami.requests import open_orders, trades

_LAG_MS: Final = 60_000
_SKEW_MS: Final = 5_000


def reconcile(known: Known) -> Generator[Request, Response, Missed]:
    """Read open orders, then the history: an order moves from the former to the latter.

    Open orders are those of every symbol. The history is asked for a minute more than was missed, because it may lag;
    an order in neither is sought again by the next poll. After a read that failed none follows: an address that goes
    on while it is refused is banned. Executions are detail: without them the poll is complete.
    """
    changes: dict[str, Change] = {}
    response = yield open_orders()
    complete = collect(response, changes)
    if rows_of(response) is None:
        return Missed(complete=False, denied=not_read(response, "spot/open").denied)
    if not (yield from _past(changes, None, known.since_ms - _LAG_MS, set())):
        return Missed(changes=tuple(changes.values()), complete=False)
    vanished = {order_id: symbol for order_id, symbol in known.open_orders if order_id not in changes}
    if vanished:
        # `timeFrom` may mean when an order was made: one that is older and ended now is not in that history.
        symbols = set(vanished.values())
        complete &= yield from _past(changes, symbols.pop() if len(symbols) == 1 else None, None, set(vanished))
    if any(is_fresh(change, known.since_ms - _SKEW_MS) for change in changes.values()):
        fills = last_fills((yield trades(known.since_ms - _LAG_MS)))
        for order_id in fills.keys() & changes.keys():
            changes[order_id] = msgspec.structs.replace(changes[order_id], last_fill=fills[order_id])
    return Missed(changes=tuple(changes.values()), complete=complete)


def _past(
    changes: dict[str, Change], symbol: str | None, since_ms: int | None, wanted: set[str]
) -> Generator[Request, Response, bool]:
    """Add the history to `changes`: to its end, or until all that is wanted was seen. `False` when it was not whole."""
    missing = set(wanted)

    def ends(response: Response) -> bool:
        missing.difference_update(decimal(row.get("displayingId")) or "" for row in rows_of(response) or [])
        return bool(wanted) and not missing

    pages = HistoryPages(symbol, since_ms, short_ends=True, and_page_0=bool(wanted))
    listed = yield from read_all(pages.first(), pages, most_pages=MAX_PAGES, enough=ends)
    readable = True
    for response in glimpse(listed):
        found: dict[str, Change] = {}
        readable &= collect(response, found)
        # Further back there is only what was told long ago: of that, what was asked for.
        changes.update(found if since_ms is not None else {key: found[key] for key in wanted & found.keys()})
    return readable and (isinstance(listed, Whole) or (bool(wanted) and not missing))
