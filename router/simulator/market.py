"""Trading at a simulated venue: what requests and scripted moves do to the books.

Every change goes through here, and so do its ledger entries. There is no order book of other people: a symbol has
one price, set by `Move(do="price")`, and whatever crosses it trades at it.
"""

import asyncio
from collections.abc import Callable, Iterator
from decimal import ROUND_DOWN, Decimal
from typing import Literal

from msgspec import Struct

from router.simulator.book import ZERO, Book, Fill, Order, Position, Status, opposite, plain
from router.simulator.call import Account
from router.simulator.ledger import EntryKind, Ledger, Origin, Subject

MARKET = Origin(endpoint="market")


class Move(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something that happens without a request.

    `fill` (`size` left out: all that is left), `cancel`, `expire`, `fail`, `modify` and `trigger` name an `order_id`;
    `replace` gives an order another `price`; `liquidate` names a `position_id`; `price` names a `symbol` and a `price`;
    `reveal` ends every hiding.
    """

    do: Literal["fill", "cancel", "expire", "fail", "modify", "replace", "trigger", "liquidate", "price", "reveal"]
    account: str = "main"
    order_id: str = ""
    position_id: str = ""
    symbol: str = ""
    size: Decimal | None = None
    price: Decimal | None = None
    reason: str = ""


def subject_of(order: Order) -> Subject:
    """Return what the ledger says of an order."""
    return Subject(
        client_order_id=order.client_order_id,
        order_id=order.order_id,
        position_id=order.closes,
        symbol=order.symbol,
        size=plain(order.size),
        price=plain(order.price) if order.price else "",
    )


class Market:
    """The trading side of one venue.

    `siblings` says how a stop fires: as a new order under a new id (BtcTurk), or as the same order.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        now_ms: Callable[[], int],
        order_ids: Iterator[str],
        fill_ids: Iterator[int],
        siblings: bool = False,
    ) -> None:
        self.prices: dict[str, Decimal] = {}
        self.accounts: dict[str, Account] = {}
        self._ledger = ledger
        self._now_ms = now_ms
        self._order_ids = order_ids
        self._fill_ids = fill_ids
        self._siblings = siblings

    def record(self, kind: EntryKind, account: Account, order: Order, origin: Origin, note: str = "") -> None:
        """Write a ledger entry about an order."""
        if origin is MARKET:
            origin = Origin(endpoint="market", account=account.name)
        self._ledger.add(kind, origin, subject_of(order), at_ms=self._now_ms(), note=note)

    def place(self, account: Account, order: Order, origin: Origin) -> Order:
        """Put a new order that a request asked for on the book."""
        account.book.put(order)
        self.record("execution", account, order, origin)
        return order

    def price(self, order: Order, book: Book) -> Decimal:
        """Return what the order would trade at now: the symbol's price, else its own, else its position's."""
        if order.symbol in self.prices:
            return self.prices[order.symbol]
        position = book.positions.get(order.closes)
        return order.price or (position.price if position else ZERO)

    def fill(
        self, account: Account, order: Order, *, size: Decimal | None = None, price: Decimal | None = None,
        origin: Origin = MARKET,
    ) -> Order:  # fmt: skip
        """Trade `size` of an order, all that is left when not given, and shrink the position it closes.

        An order whose position is gone meanwhile is canceled instead.
        """
        book, at_ms = account.book, self._now_ms()
        size = min(order.left, order.left if size is None else size)
        position = book.positions.get(order.closes)
        if order.closes and position is None:
            return book.change(order, status="canceled", reason="CLOSED_ORDER", updated_ms=at_ms)
        size = min(size, position.size) if position else size
        price = self.price(order, book) if price is None else price
        if size <= ZERO:
            return order
        book.add_fill(self._fill(order, position, size, price, at_ms))
        order = book.change(
            order,
            filled=order.filled + size,
            cost=order.cost + size * price,
            status="filled" if order.left == size else order.status,
            updated_ms=at_ms,
        )
        if position:
            book.shrink(position.position_id, size)
        self.record("fill", account, order, origin, note=f"{plain(size)} at {plain(price)}")
        return order

    def take(
        self, account: Account, order: Order, *, part: Decimal | None, rest: Status, reason: str, origin: Origin
    ) -> Order:
        """Execute an immediate order: `part` of it (all when `None`) trades, what is left ends as `rest`."""
        order = self.fill(account, order, size=part_of(order, part), origin=origin)
        return self.end(account, order, rest, reason) if order.status != "filled" else order

    def end(self, account: Account, order: Order, status: Status, reason: str = "") -> Order:
        """Finish an order without a trade."""
        return account.book.change(order, status=status, reason=reason, updated_ms=self._now_ms())

    def cancel(self, account: Account, order: Order, *, delay_s: float, reason: str, origin: Origin) -> None:
        """Take a cancel of a live order: at once, or after `delay_s`, in which a trade can still win."""
        self.record("cancel", account, order, origin)
        if delay_s <= 0:
            self.end(account, order, "canceled", reason)
            return
        account.book.change(order, status="canceling", updated_ms=self._now_ms())
        asyncio.get_running_loop().call_later(delay_s, self._settle, account, order.order_id, reason)

    def move(self, move: Move) -> None:
        """Do what no request asked for. Raises `KeyError` for an order, position or account that is not there."""
        if move.do == "price":
            self._reprice(move.symbol, move.price if move.price is not None else ZERO)
            return
        account = self.accounts[move.account]
        if move.do == "reveal":
            account.book.reveal()
        elif move.do == "liquidate":
            self._liquidate(account, account.book.positions[move.position_id], move)
        else:
            self._happen(account, account.book.orders[move.order_id], move)

    def _happen(self, account: Account, order: Order, move: Move) -> None:
        ends: dict[str, Status] = {"cancel": "canceled", "expire": "expired", "fail": "failed", "modify": "modifying"}
        if move.do == "fill":
            self.fill(account, order, size=move.size, price=move.price)
        elif move.do == "replace":
            account.book.change(order, status="working", price=move.price or order.price, updated_ms=self._now_ms())
        elif move.do == "trigger":
            self._trigger(account, order)
        else:
            self.end(account, order, ends[move.do], move.reason)

    def _trigger(self, account: Account, order: Order) -> None:
        now_ms = self._now_ms()
        if self._siblings:
            kind = "market" if order.kind == "stop_market" else "limit"
            # The new order begins when the stop ends, to the millisecond (BTCTrader/broker-api-docs#616).
            now_ms = self.end(account, order, "canceled", "triggered").updated_ms
            order = account.book.change(order, order_id=next(self._order_ids), kind=kind, created_ms=now_ms)
        order = account.book.change(order, status="working", updated_ms=now_ms)
        if order.kind in {"market", "stop_market"}:
            self.fill(account, order)

    def _liquidate(self, account: Account, position: Position, move: Move) -> None:
        """Close a position by an order of the venue's own; what was about to close it is canceled."""
        for order in account.book.live():
            if order.closes == position.position_id:
                self.end(account, order, "canceled", "POSITION_LOSSCUT")
        now_ms = self._now_ms()
        order = Order(
            order_id=next(self._order_ids), symbol=position.symbol, side=opposite(position.side), kind="market",
            size=position.size if move.size is None else move.size, created_ms=now_ms, updated_ms=now_ms,
            closes=position.position_id, forced=True,
        )  # fmt: skip
        self.fill(account, account.book.put(order), price=move.price)

    def _reprice(self, symbol: str, price: Decimal) -> None:
        """Set the price; then trigger the stops and fill the limits that it has reached."""
        self.prices[symbol] = price
        for account in self.accounts.values():
            for order in account.book.live():
                if order.symbol == symbol and reached(order, price):
                    if order.status == "waiting":
                        self._trigger(account, order)
                    else:
                        self.fill(account, order, price=order.price)

    def _settle(self, account: Account, order_id: str, reason: str) -> None:
        order = account.book.orders.get(order_id)
        if order is not None and order.status == "canceling":
            self.end(account, order, "canceled", reason)

    def _fill(self, order: Order, position: Position | None, size: Decimal, price: Decimal, at_ms: int) -> Fill:
        gain = ZERO
        if position:
            gain = (price - position.price) * size * (1 if position.side == "BUY" else -1)
        return Fill(
            fill_id=next(self._fill_ids), order_id=order.order_id, symbol=order.symbol, side=order.side, size=size,
            price=price, gain=gain, at_ms=at_ms, closes=order.closes,
        )  # fmt: skip


def part_of(order: Order, part: Decimal | None) -> Decimal:
    """Return a part of an order's size, rounded down to the digits the size has; all of it for `None`."""
    return order.size if part is None else (order.size * part).quantize(order.size, rounding=ROUND_DOWN)


def reached(order: Order, price: Decimal) -> bool:
    """Say whether a price triggers a waiting stop or fills a resting limit."""
    if order.status == "waiting":
        trigger = order.stop_price or order.price
        return price >= trigger if order.side == "BUY" else price <= trigger
    if not order.price:
        return False
    return price <= order.price if order.side == "BUY" else price >= order.price
