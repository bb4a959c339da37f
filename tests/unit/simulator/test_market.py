"""Trading without HTTP: books, the market, the ledger."""

import asyncio
import itertools
from decimal import Decimal

import pytest

from router.simulator.book import Book, Order, Position
from router.simulator.call import Account
from router.simulator.ledger import Ledger
from router.simulator.market import MARKET, Market, Move


@pytest.fixture
def account() -> Account:
    """An account with a long position `p` of 3."""
    book = Book()
    book.positions["p"] = Position(
        position_id="p", symbol="X", side="BUY", size=Decimal("3.0"), price=Decimal(10), opened_ms=0
    )
    return Account(name="main", api_key="k", api_secret="s", book=book)


@pytest.fixture
def market(account: Account) -> Market:
    """A market with that account."""
    ids = map(str, itertools.count(1))
    market = Market(ledger=Ledger(), now_ms=lambda: 5, order_ids=ids, fill_ids=itertools.count(1))
    market.accounts["main"] = account
    return market


def order(order_id: str = "o", **fields: object) -> Order:
    """Return a close of `p`."""
    known = {"order_id": order_id, "symbol": "X", "side": "SELL", "kind": "limit", "size": Decimal("1.50"),
             "price": Decimal(20), "closes": "p", "created_ms": 0, "updated_ms": 0}  # fmt: skip
    return Order(**known | fields)  # type: ignore[arg-type]  # named fields of an Order


def test_a_fill_shrinks_the_position_and_keeps_digits(market: Market, account: Account) -> None:
    """Sizes are exact decimals; the gain is that of the side the position was opened with."""
    filled = market.fill(account, account.book.put(order()), price=Decimal("12.5"))
    assert (filled.status, str(filled.filled), str(account.book.positions["p"].size)) == ("filled", "1.50", "1.50")
    assert [str(fill.gain) for fill in account.book.fills] == ["3.750"]


def test_a_close_never_opens(market: Market, account: Account) -> None:
    """More than the position has is not traded, and an order whose position is gone is canceled."""
    filled = market.fill(account, account.book.put(order(size=Decimal(5))))
    assert (filled.filled, filled.status, account.book.positions) == (Decimal(3), "working", {})
    assert market.fill(account, filled).status == "canceled"


def test_an_order_changed_leaves_snapshots_alone(market: Market, account: Account) -> None:
    """A snapshot is what reads saw at its moment."""
    account.book.put(order())
    before = account.book.snapshot()
    market.fill(account, account.book.orders["o"])
    assert (before.orders["o"].status, before.fills, before.fills_of("o")) == ("working", [], [])
    assert [row.order_id for row in before.live()] == ["o"]
    assert before.positions["p"].size == Decimal(3)


def test_a_hidden_order_is_hidden_with_its_fills(market: Market, account: Account) -> None:
    """A view leaves out a hidden order and its fills until its time has come."""
    market.fill(account, account.book.put(order()))
    account.book.hide("o", until_ms=100)
    view = account.book.view(99)
    assert (view.orders, view.fills, view.fills_of("o")) == ({}, [], [])
    assert account.book.view(100) is account.book


@pytest.mark.parametrize(("side", "price", "status"), [("SELL", 20, "filled"), ("SELL", 19, "working"),
                                                       ("BUY", 20, "filled"), ("BUY", 21, "working")])  # fmt: skip
def test_a_price_fills_the_limits_it_reaches(
    market: Market, account: Account, side: str, price: int, status: str
) -> None:
    """A sell trades at or above its price, a buy at or below."""
    account.book.put(order(side=side, closes=""))
    market.move(Move(do="price", symbol="X", price=Decimal(price)))
    assert account.book.orders["o"].status == status


@pytest.mark.parametrize(("price", "status"), [(9, "filled"), (10, "filled"), (11, "waiting")])
def test_a_price_triggers_the_stops_it_reaches(market: Market, account: Account, price: int, status: str) -> None:
    """A sell stop fires at or below its price."""
    account.book.put(order(kind="stop_market", status="waiting", price=Decimal(10)))
    market.move(Move(do="price", symbol="X", price=Decimal(price)))
    assert account.book.orders["o"].status == status


def test_moves_of_what_is_not_there_raise(market: Market) -> None:
    """An unknown order, position or account is a `KeyError`, never ignored."""
    for move in (Move(do="fill", order_id="x"), Move(do="liquidate", position_id="x"), Move(do="reveal", account="x")):
        with pytest.raises(KeyError):
            market.move(move)


async def test_a_pending_cancel_takes_effect_once(market: Market, account: Account) -> None:
    """The order is `canceling` first and `canceled` after the delay."""
    market.cancel(account, account.book.put(order()), delay_s=0.01, reason="user", origin=MARKET)
    passed = asyncio.Event()
    asyncio.get_running_loop().call_later(0.01, passed.set)
    assert [order.status for order in account.book.live()] == ["canceling"]
    await passed.wait()
    assert (account.book.orders["o"].status, account.book.orders["o"].reason) == ("canceled", "user")


async def test_a_ledger_wakes_who_waits(market: Market, account: Account) -> None:
    """`wait` returns once enough entries match, and raises when they do not come."""
    ledger = market._ledger
    waiting = asyncio.create_task(ledger.wait("execution", count=2, order_id="o"))
    for order_id in ("o", "other", "o"):
        await asyncio.sleep(0)
        market.place(account, order(order_id), MARKET)
    assert [entry.seq for entry in await waiting] == [1, 3]
    with pytest.raises(TimeoutError):
        await ledger.wait("cancel", timeout_s=0.01)
