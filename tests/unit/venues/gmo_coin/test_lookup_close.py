"""GMO Coin: finding out what an unanswered close did."""

from typing import Any

import pytest

from router.venue_protocol import (
    Absent,
    Accepted,
    Attempt,
    Done,
    Refused,
    Request,
    Response,
    Unknown,
)
from schemas.commands import Close
from schemas.results import OrderState
from tests.unit.venues.gmo_coin.canned import GMO
from tests.unit.venues.gmo_coin.looking import (
    BROKEN,
    CLOSE,
    SENT_MS,
    Reads,
    Row,
    answered,
    at,
    execution,
    is_seen,
    look,
    order,
    position,
)

WORKING = OrderState(status="working", size="3.44", filled_size="0")

OPEN: Reads = {"openPositions": [position()]}


def test_nothing_shown_is_absent() -> None:
    """Empty lists beside an open position prove nothing by themselves."""
    assert isinstance(look(CLOSE, OPEN), Absent)


def test_a_position_that_is_not_shown_is_never_absent() -> None:
    """A row that vanished proves nothing: our execution may just not be shown."""
    assert is_seen(look(CLOSE, {}))
    earlier = [execution(636000, after_ms=-3_600_000)]
    assert is_seen(look(CLOSE, {"latestExecutions": earlier}))


def test_after_a_day_nothing_is_absent() -> None:
    """Executions are shown for a day: what is not there after 23 hours may have been."""
    hour = 3_600_000
    assert isinstance(look(CLOSE, OPEN, now_ms=SENT_MS + 23 * hour), Absent)
    sight = look(CLOSE, OPEN, now_ms=SENT_MS + 23 * hour + 1)
    assert isinstance(sight, Unknown)
    assert not sight.seen


def test_an_execution_of_the_position_ties_the_order() -> None:
    """An execution that closes our position names its order, which must be of our shape."""
    filled = order(status="EXECUTED", executedSize="3.44")
    sight = look(CLOSE, {"orders": [filled], "latestExecutions": [execution()]})
    state = OrderState(status="filled", size="3.44", filled_size="3.44", average_price="85201")
    assert sight == Accepted(order_id="637000", order=state)


def test_the_average_is_of_all_executions_or_none() -> None:
    """Two fills make an average; a fill that is not shown leaves it out."""
    parts = [execution(size="1.44", price="85200"), execution(size="2.00", price="85218", executionId=72124)]
    filled = order(status="EXECUTED", executedSize="3.44")
    sight = look(CLOSE, {"orders": [filled], "latestExecutions": parts})
    assert isinstance(sight, Accepted)
    assert sight.order is not None
    assert sight.order.average_price == "85210.465116279069767"
    sight = look(CLOSE, {"orders": [filled], "latestExecutions": parts[:1]})
    assert isinstance(sight, Accepted)
    assert sight.order is not None
    assert sight.order.average_price is None


def test_a_pending_order_of_our_shape_is_ours() -> None:
    """An active order that fits only this close, with size reserved on its position, exists because of it."""
    reads = {"activeOrders": [order()], "orders": [order()], "openPositions": [position("3.44")]}
    assert look(CLOSE, reads) == Accepted(order_id="637000", order=WORKING)


def test_sizes_and_prices_are_compared_as_numbers() -> None:
    """The venue may write 3.440 for 3.44; what is reported is its own text."""
    row = order(size="3.440", price="85201.0", executedSize="1.10")
    reads = {"activeOrders": [row], "orders": [row], "openPositions": [position("3.44")]}
    state = OrderState(status="partially_filled", size="3.440", filled_size="1.10")
    assert look(CLOSE, reads) == Accepted(order_id="637000", order=state)


def test_a_partly_filled_close_that_expired_is_accepted_and_says_so() -> None:
    """A fill-and-kill rest expires: the order existed, and the state tells how much it closed."""
    market = Close(**{**fields_of(CLOSE), "order_type": "market", "price": None})
    row = order(executionType="MARKET", price="0", status="EXPIRED", executedSize="1", timeInForce="FAK")
    sight = look(market, {"orders": [row], "latestExecutions": [execution(size="1")]})
    state = OrderState(status="expired", size="3.44", filled_size="1", average_price="85201")
    assert sight == Accepted(order_id="637000", order=state)


def fields_of(command: Close) -> dict[str, Any]:
    """Return a close's fields."""
    return {name: getattr(command, name) for name in command.__struct_fields__}


@pytest.mark.parametrize(
    "other",
    [
        {"side": "SELL"},
        {"orderType": "LOSSCUT"},
        {"executionType": "STOP"},
        {"settleType": "OPEN"},
        {"size": "3.45"},
        {"price": "85202"},
        {"timestamp": at(-60_001)},
    ],
)
def test_a_pending_order_of_another_shape_is_not_ours(other: Row) -> None:
    """Every trait counts: one that differs, or a time before the send, and the order is somebody else's."""
    row = order(**other)
    assert isinstance(look(CLOSE, {"activeOrders": [row], "orders": [row], "openPositions": [position()]}), Absent)


def test_an_order_just_before_the_send_is_left_undecided() -> None:
    """Up to a second is clock skew; as far as the clocks may differ it is neither ours nor not ours."""
    for after_ms, kind in ((-1_000, Accepted), (-1_001, Unknown), (-60_000, Unknown), (-60_001, Absent)):
        row = order(after_ms=after_ms)
        sight = look(CLOSE, {"activeOrders": [row], "orders": [row], "openPositions": [position("3.44")]})
        assert isinstance(sight, kind), after_ms
        assert isinstance(sight, Unknown) == is_seen(sight)
    row = order(after_ms=-7_000)
    reads: Reads = {"activeOrders": [row], "orders": [row], "openPositions": [position("3.44")]}
    assert is_seen(look(CLOSE, reads, window_ms=7_000))
    assert isinstance(look(CLOSE, reads, window_ms=6_999), Absent)
    row = order(after_ms=-900)
    reads = {"activeOrders": [row], "orders": [row], "openPositions": [position("3.44")]}
    assert isinstance(look(CLOSE, reads, window_ms=500), Accepted)


@pytest.mark.parametrize("after_ms", [-1_001, -6_000, -60_000])
def test_an_execution_just_before_the_send_is_left_undecided(after_ms: int) -> None:
    """The venue's clock may be that far behind: whatever closes our position then may be ours, if it is nobody's."""
    shapes: list[Row] = [{}, {"price": "85300"}, {"executionType": "MARKET", "price": "0"}]
    for fields in shapes:
        row = order(after_ms=after_ms, status="EXECUTED", executedSize="3.44", **fields)
        reads: Reads = {"orders": [row], "latestExecutions": [execution(after_ms=after_ms)], **OPEN}
        assert is_seen(look(CLOSE, reads))
        assert isinstance(look(CLOSE, reads, taken=frozenset({"637000"})), Absent)


@pytest.mark.parametrize("fields", [{"orderType": "LOSSCUT"}, {"after_ms": -60_001}])
def test_an_execution_just_before_the_send_of_an_order_that_cannot_be_ours(fields: Row) -> None:
    """A losscut, or an order from before all that the clocks may differ: it closed a part, and ours is not there."""
    traits: Row = {"after_ms": -10_000, "status": "EXECUTED", "price": "85300"} | fields
    row = order(637001, **traits)
    assert isinstance(
        look(CLOSE, {"orders": [row], "latestExecutions": [execution(637001, after_ms=-9_000)], **OPEN}), Absent
    )


def test_two_orders_that_fit_are_ambiguous() -> None:
    """An account where two orders fit cannot say which one is ours."""
    rows = [order(), order(637001)]
    sight = look(CLOSE, {"activeOrders": rows, "orders": rows, "openPositions": [position()]})
    assert isinstance(sight, Unknown)
    assert sight.seen
    assert "ambiguous" in sight.message


def test_an_order_of_another_command_is_not_ours() -> None:
    """An order id that the journal gave to another command is taken."""
    rows = [order(), order(637001)]
    reads = {"activeOrders": rows, "orders": rows, "openPositions": [position("3.44")]}
    assert look(CLOSE, reads, taken=frozenset({"637001"})) == Accepted(order_id="637000", order=WORKING)
    assert isinstance(look(CLOSE, reads, taken=frozenset({"637000", "637001"})), Absent)


def test_an_order_that_fits_a_rival_fits_nobody() -> None:
    """Two open closes of the same shape: a pending order does not say whose it is; an execution does."""
    rival = Close(**{**fields_of(CLOSE), "command_id": "d", "position_id": "1000343"})
    reads: Reads = {"activeOrders": [order()], "orders": [order()], "openPositions": [position("3.44")]}
    sight = look(CLOSE, reads, rivals=(rival,))
    assert isinstance(sight, Unknown)
    assert sight.seen
    assert "another close" in sight.message
    tied = {**reads, "latestExecutions": [execution(size="1")]}
    assert isinstance(look(CLOSE, tied, rivals=(rival,)), Accepted)
    smaller = Close(**{**fields_of(rival), "size": "1"})
    assert isinstance(look(CLOSE, reads, rivals=(smaller,)), Accepted)


def test_an_order_that_executes_on_another_position_is_not_ours() -> None:
    """An order closes one position: executions elsewhere exclude it."""
    reads: Reads = {
        "activeOrders": [order()],
        "orders": [order()],
        "latestExecutions": [execution(positionId=1000343, size="1")],
        "openPositions": [position()],
    }
    assert isinstance(look(CLOSE, reads), Absent)


def test_nothing_reserved_excludes_a_pending_order() -> None:
    """`orderdSize` 0: the pending order belongs to another position. A rise would prove nothing."""
    reads = {"activeOrders": [order()], "orders": [order()], "openPositions": [position("0.00")]}
    assert isinstance(look(CLOSE, reads), Absent)
    changed = order(637001, price="85300", executedSize="1")
    both = {**reads, "orders": [order(), changed], "latestExecutions": [execution(637001, size="1")]}
    assert is_seen(look(CLOSE, both)), "another one may be ours all the same"


def test_a_pending_order_without_its_position_is_not_believed() -> None:
    """Reads that do not agree prove nothing, neither way."""
    assert is_seen(look(CLOSE, {"activeOrders": [order()], "orders": [order()]}))


@pytest.mark.parametrize("reads", [{"latestExecutions": [execution()]}, {"activeOrders": [order()]}])
def test_an_order_that_orders_does_not_show_is_not_believed(reads: Reads) -> None:
    """A list that names an order and a read that does not know it do not make a negative."""
    assert is_seen(look(CLOSE, {**reads, **OPEN}))
    assert not is_seen(look(CLOSE, {**reads, **OPEN}, taken=frozenset({"637000"})))


def test_a_position_that_a_losscut_closed_is_done() -> None:
    """Flat without us: an execution of another order closed the position, and it is gone."""
    losscut = order(637001, orderType="LOSSCUT", executionType="MARKET", status="EXECUTED", size="10.32")
    reads: Reads = {"orders": [losscut], "latestExecutions": [execution(637001, size="10.32")]}
    assert look(CLOSE, reads) == Done()
    assert isinstance(look(CLOSE, {**reads, "openPositions": [position("0")]}), Absent), "closed in part only"


def test_a_position_that_an_older_order_closed_is_done() -> None:
    """A limit order from before the send may win; it is not ours."""
    older = order(636999, after_ms=-3_600_000, status="EXECUTED", size="10.32", executedSize="10.32")
    assert look(CLOSE, {"orders": [older], "latestExecutions": [execution(636999)]}) == Done()


def test_what_our_own_earlier_closes_executed_does_not_make_a_position_flat() -> None:
    """A partial close of ours and a position that one read does not show: the rest may still be open."""
    part = order(637001, status="EXECUTED", size="1", executedSize="1")
    reads: Reads = {"orders": [part], "latestExecutions": [execution(637001, size="1")]}
    assert is_seen(look(CLOSE, reads, taken=frozenset({"637001"})))


def test_an_order_that_only_nearly_fits_and_closes_the_position_is_undecided() -> None:
    """It may be ours with its price changed: never a reason to say that ours does not exist."""
    changed = order(637001, price="85300", executedSize="1")
    reads = {"orders": [changed], "latestExecutions": [execution(637001, size="1")], "openPositions": [position()]}
    assert is_seen(look(CLOSE, reads))
    assert isinstance(look(CLOSE, reads, taken=frozenset({"637001"})), Absent)
    assert is_seen(look(CLOSE, {**reads, "openPositions": BROKEN[0]}))


@pytest.mark.parametrize("code", ["ERR-254", "ERR-422"])
def test_a_position_that_the_venue_does_not_know_needs_an_execution_to_be_done(code: str) -> None:
    """ERR-254 is `Done` when an execution closed that position, even before the send; else there was no position."""
    refusal = {"venue_code": code, "unanswered": False}
    earlier = [execution(636000, after_ms=-3_600_000)]
    assert look(CLOSE, {"latestExecutions": earlier}, **refusal) == Done(venue_code=code)
    refused = Refused(code="position_not_found", venue_code=code)
    assert look(CLOSE, {}, **refusal) == refused
    opened = [execution(636000, settleType="OPEN"), execution(636001, positionId=7, executionId=1)]
    assert look(CLOSE, {"latestExecutions": opened}, **refusal) == refused
    assert isinstance(look(CLOSE, {"latestExecutions": BROKEN[0]}, **refusal), Unknown)


def test_after_a_refusal_of_our_only_send_no_order_is_ours() -> None:
    """Somebody else's order of our shape closed the position: it is flat, and `order_id` stays empty."""
    filled = order(status="EXECUTED", executedSize="3.44")
    reads: Reads = {"activeOrders": [order()], "orders": [filled], "latestExecutions": [execution()]}
    assert look(CLOSE, reads, venue_code="ERR-254", unanswered=False) == Done(venue_code="ERR-254")


def test_our_own_execution_wins_over_a_position_not_found() -> None:
    """If the position is gone because an unanswered send of ours closed it, the close was accepted."""
    filled = order(status="EXECUTED", executedSize="3.44")
    sight = look(CLOSE, {"orders": [filled], "latestExecutions": [execution()]}, venue_code="ERR-254")
    assert isinstance(sight, Accepted)
    assert is_seen(look(CLOSE, {}, venue_code="ERR-254")), "its execution may not be shown yet"


def test_a_known_order_is_looked_up_first() -> None:
    """Once the venue has named our order, only that order is read."""
    assert look(CLOSE, {"orders": [order()]}, order_id="637000") == Accepted(order_id="637000", order=WORKING)


def test_a_known_order_that_is_not_shown_is_never_absent() -> None:
    """The venue named it, so not seeing it must not count towards "not executed"."""
    assert is_seen(look(CLOSE, {}, order_id="637000"))
    assert is_seen(look(CLOSE, {}, order_id="not-a-number"))


@pytest.mark.parametrize("other", [{"side": "SELL"}, {"settleType": "OPEN"}, {"size": "1"}, {"symbol": "ETH_JPY"}])
def test_a_known_order_of_another_shape_is_not_taken(other: Row) -> None:
    """An ambiguous answer may name anything; only the price of an order of ours can have been changed since."""
    assert is_seen(look(CLOSE, {"orders": [order(**other)]}, order_id="637000"))
    assert is_seen(look(CLOSE, {"orders": [order()]}, order_id="637000", taken=frozenset({"637000"})))
    assert isinstance(look(CLOSE, {"orders": [order(price="85300")]}, order_id="637000"), Accepted)


def test_many_closers_are_asked_for_ten_at_a_time() -> None:
    """GET /v1/orders takes ten ids."""
    rows = [order(n, orderType="LOSSCUT") for n in range(1, 26)]
    closings = [execution(n, executionId=n, size="0.01") for n in range(1, 26)]
    assert look(CLOSE, {"orders": rows, "latestExecutions": closings}) == Done()


def test_a_position_of_which_more_is_ordered_than_is_shown_hides_an_order() -> None:
    """A read that lags shows no order, and yet some of the position is tied up: nothing is proven, however often."""
    hidden = {"openPositions": [position("3.44")]}
    sight = look(CLOSE, hidden)
    assert isinstance(sight, Unknown)
    assert sight.seen
    resting = order(637009, executionType="STOP")
    shown = {"activeOrders": [resting], "openPositions": [position("3.44")]}
    assert isinstance(look(CLOSE, shown), Absent)


def test_a_list_that_moves_while_it_is_read_proves_nothing() -> None:
    """One order of page 1 is canceled before page 2 is read: what moved up to page 1 stands on neither."""
    book = [order(637100 + number, -3_600_000, price="1") for number in range(100)] + [order(637000, 30)]
    reads = 0

    def world(request: Request) -> Response:
        nonlocal reads
        if request.endpoint.startswith("activeOrders"):
            number = int(dict(request.query)["page"])
            rows = book[(number - 1) * 100 : number * 100]
            if not reads:
                del book[0]
            reads += 1
            return answered(rows, number)
        return answered([position("3.44")] if request.endpoint == "openPositions" else [])

    flow = GMO.lookup(CLOSE, Attempt(client_order_id="x", sent_ms=SENT_MS, now_ms=SENT_MS + 70_000))
    sight: object = None
    try:
        request = next(flow)
        while True:
            request = flow.send(world(request))
    except StopIteration as stop:
        sight = stop.value
    assert isinstance(sight, Unknown)
    assert not sight.whole
