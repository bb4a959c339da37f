"""Find what the stream may have missed: trades, open orders of every pair, and single orders."""

from collections.abc import Generator, Iterable
from decimal import Decimal
from typing import Any, Final, TypeVar

import msgspec

from router.venue_protocol import Request, Response, Unknown
from router.venue_protocol.pages import Torn, glimpse, unread
from router.venue_protocol.reading import EXACT, UNREADABLE, is_id, ms_time, objects, positive, raw_object, text_of
from router.venue_protocol.stream import Change, Known, Missed
from router.venues.btcturk import requests
from router.venues.btcturk.codes import order_type_of, side_of
from router.venues.btcturk.reads import OrderRow, data_of, decoded, order_of, read_open, state_of
from router.venues.btcturk.stream import Trade, fill_of

T = TypeVar("T")

_MAX_PAIR: Final = 40


def reconcile(known: Known) -> Generator[Request, Response, Missed]:
    """Read the account's trades, the open orders of each pair, and each other order that was open or traded.

    Needs the permissions "Trade" and "Account". An order that nobody knew and that ended without a trade is not looked
    for. Trades are read first: each of them is then in the sizes that are read after it.
    """
    found = _Found()
    if known.since_ms:
        rows = found.noted(_list_of((yield requests.trades(known.since_ms))))
        found.complete &= _take_trades(rows or [], found.trades)
    pairs = {*known.symbols, *(pair for _, pair in known.open_orders if pair)}
    if known.everywhere and not found.denied:
        pairs |= found.noted(_names_of((yield requests.exchange_info()))) or set()
    for pair in sorted({pair.replace("_", "") for pair in pairs}):
        if found.denied:
            return found.missed()
        listed = yield from read_open(pair)
        found.noted(listed.doubt if isinstance(listed, Torn) else None)
        found.orders.update((order.id, _change(order)) for order in glimpse(listed))
    opened = {int(order_id) for order_id, _ in known.open_orders if is_id(order_id)}
    for order_id in sorted((opened | found.trades.keys()) - found.orders.keys()):
        if found.denied:
            return found.missed()
        response = yield requests.order(order_id)
        answer = decoded(response)
        if answer is None or not answer.not_found:
            order = found.noted(order_of(data_of(response, "order")))
            found.orders |= {} if order is None else {order.id: _change(order)}
    return found.missed()


class _Found:
    """What was read so far."""

    def __init__(self) -> None:
        self.trades: dict[int, list[Trade]] = {}
        self.orders: dict[int, Change] = {}
        self.complete = True
        self.denied = False

    def noted(self, read: T | Unknown | None) -> T | None:
        """Return what was read; `None`, once that is noted, when it was not whole."""
        if not isinstance(read, Unknown):
            return read
        self.complete = False
        self.denied |= read.denied
        return None

    def missed(self) -> Missed:
        """Tell every order that was seen.

        The order of a trade is there, so a read that lacks it is stale. A known order may be forgotten for good.
        """
        complete = self.complete and self.trades.keys() <= self.orders.keys()
        changes = [_with_trades(change, self.trades.get(key, [])) for key, change in sorted(self.orders.items())]
        told_of = tuple(change for each in changes for change in each)
        return Missed(changes=told_of, complete=complete, denied=self.denied)


def _list_of(response: Response) -> list[Any] | Unknown:
    data = data_of(response, "trades")
    return data if isinstance(data, list | Unknown) else unread(response, "trades: no list")


def _names_of(response: Response) -> set[str] | Unknown:
    """Return every pair that the venue lists, those that do not trade now included: orders may stand there too."""
    data = data_of(response, "exchange_info")
    if isinstance(data, Unknown):
        return data
    rows = objects(data.get("symbols") if isinstance(data, dict) else data)
    names = [row.get("name") for row in rows or []]
    found = {name for name in names if isinstance(name, str) and 0 < len(name) <= _MAX_PAIR}
    return found if found and len(found) == len(names) else unread(response, "exchange_info: pairs without a name")


def _take_trades(rows: Iterable[Any], trades: dict[int, list[Trade]]) -> bool:
    """Note each trade under its order; `False` when one cannot be read."""
    readable = True
    for row in rows:
        try:
            trade = msgspec.convert(row, Trade, strict=False)
        except UNREADABLE:
            readable = False
            continue
        if trade.order_id:
            trades.setdefault(trade.order_id, []).append(trade)
    return readable


def _change(order: OrderRow) -> Change:
    """Say what a row of an order says."""
    state = state_of(order)
    untouched = state.filled_size is not None and not Decimal(state.filled_size)
    return Change(
        order_id=str(order.id),
        client_order_id=text_of(order.client_id, 64),
        symbol=order.pair_symbol or None,
        side=side_of(order.type),
        order_type=order_type_of(order.method),
        status=None if state.status == "unknown" else state.status,
        price=positive(order.price) if untouched else None,  # once executed it is the price of the first part
        size=state.size,
        filled_size=state.filled_size,
        venue_time=ms_time(order.update_time),
        raw=raw_object(order.raw),
    )


def _with_trades(change: Change, trades: list[Trade]) -> list[Change]:
    """Tell an order's way there trade by trade: what was filled after each, counted back from what is filled now.

    So every fill of the gap is told under its id, and one that the stream tells later is known.
    """
    if change.filled_size is None:
        return [change]
    left, told_of = Decimal(change.filled_size), list[Change]()
    for trade in sorted(trades, key=lambda each: each.id, reverse=True):
        fill = fill_of(trade)
        if fill.size is None or left <= 0:
            return [change]
        status = change.status if not told_of else "partially_filled"
        filled = format(left, "f")
        told_of.append(msgspec.structs.replace(change, status=status, filled_size=filled, last_fill=fill))
        left = EXACT.subtract(left, Decimal(fill.size))
    return told_of[::-1] if told_of and left >= 0 else [change]
