"""GMO Coin: finding out what an unanswered close or cancel did, driven by canned reads."""

import datetime
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.venue_protocol import (
    Absent,
    Accepted,
    Attempt,
    Done,
    Refused,
    Request,
    Response,
    Sight,
    Unknown,
    VenueAdapter,
    Working,
)
from router.venues.gmo_coin import GmoCoin, GmoCoinOptions
from schemas.commands import Cancel, Close, CloseAll, Command
from schemas.results import OrderState

NOT_AFTER = datetime.datetime(2026, 11, 21, 12, 0, 30, tzinfo=datetime.UTC)
GMO: VenueAdapter = GmoCoin(GmoCoinOptions())
SENT_MS = 1_763_726_400_000
CLOSE = Close(
    command_id="c",
    venue="gmo_coin",
    account="main",
    symbol="BTC_JPY",
    not_after=NOT_AFTER,
    position_id="1000342",
    side="buy",
    size="3.44",
    order_type="limit",
    price="85201",
)
CANCEL = Cancel(command_id="c", venue="gmo_coin", account="main", not_after=NOT_AFTER, order_id="637000")
WORKING = OrderState(status="working", size="3.44", filled_size="0")

Row = dict[str, Any]
Reads = Mapping[str, Sequence[Row] | Response]


def at(after_ms: int) -> str:
    """Write a time as the venue does, so long after the send."""
    time = datetime.datetime.fromtimestamp((SENT_MS + after_ms) / 1000, datetime.UTC)
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def order(order_id: int = 637000, after_ms: int = 30, **fields: Any) -> Row:
    """Return a row of orders and activeOrders, by default the order that CLOSE places."""
    return {
        "rootOrderId": order_id,
        "orderId": order_id,
        "symbol": "BTC_JPY",
        "side": "BUY",
        "orderType": "NORMAL",
        "executionType": "LIMIT",
        "settleType": "CLOSE",
        "size": "3.44",
        "executedSize": "0",
        "price": "85201",
        "losscutPrice": "0",
        "status": "ORDERED",
        "timeInForce": "FAS",
        "timestamp": at(after_ms),
    } | fields


def execution(order_id: int = 637000, after_ms: int = 40, **fields: Any) -> Row:
    """Return a row of latestExecutions, by default one that closes CLOSE's position."""
    return {
        "executionId": 72123,
        "orderId": order_id,
        "positionId": 1000342,
        "symbol": "BTC_JPY",
        "side": "BUY",
        "settleType": "CLOSE",
        "size": "3.44",
        "price": "85201",
        "lossGain": "0",
        "fee": "-171",
        "timestamp": at(after_ms),
    } | fields


def position(orderd_size: str = "3.44") -> Row:
    """Return CLOSE's position as openPositions shows it."""
    return {"positionId": 1000342, "symbol": "BTC_JPY", "side": "SELL", "size": "10.32", "orderdSize": orderd_size}


def answered(rows: Sequence[Row], page: int = 1) -> Response:
    """Return rows as the venue does: an empty list is `{}`."""
    data = {"pagination": {"currentPage": page, "count": 100}, "list": rows} if rows else {}
    return Response(200, {}, json.dumps({"status": 0, "data": data}).encode())


def look(command: Command, reads: Reads, **attempt: Any) -> Sight:
    """Run a lookup against what each endpoint shows; `orders` answers with the ids that were asked for."""
    known = {"sent_ms": SENT_MS, "now_ms": SENT_MS + 70_000} | attempt
    flow = GMO.lookup(command, Attempt(client_order_id="x", **known))
    try:
        request = next(flow)
        while True:
            request = flow.send(answer(request, reads))
    except StopIteration as stop:
        sight: Sight = stop.value
        return sight


def answer(request: Request, reads: Reads) -> Response:
    """Answer one read, page by page."""
    assert (request.method, request.scopes, request.public) == ("GET", ("get",), False)
    query = dict(request.query)
    shown = reads.get(request.endpoint, ())
    if isinstance(shown, Response):
        return shown
    if request.endpoint == "orders":
        ids = query["orderId"].split(",")
        assert len(ids) <= 10
        return answered([row for row in shown if str(row["orderId"]) in ids])
    assert query["symbol"] == "BTC_JPY"
    first = (int(query["page"]) - 1) * int(query["count"])
    return answered(list(shown)[first : first + int(query["count"])], int(query["page"]))


# A close


OPEN: Reads = {"openPositions": [position()]}


def is_seen(sight: Sight) -> bool:
    """Say whether a look saw what may be ours and decided nothing."""
    return isinstance(sight, Unknown) and sight.seen


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
    reads = {"activeOrders": [order()], "orders": [order()], "openPositions": [position()]}
    assert look(CLOSE, reads) == Accepted(order_id="637000", order=WORKING)


def test_sizes_and_prices_are_compared_as_numbers() -> None:
    """The venue may write 3.440 for 3.44; what is reported is its own text."""
    row = order(size="3.440", price="85201.0", executedSize="1.10")
    reads = {"activeOrders": [row], "orders": [row], "openPositions": [position()]}
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
        sight = look(CLOSE, {"activeOrders": [row], "orders": [row], "openPositions": [position()]})
        assert isinstance(sight, kind), after_ms
        assert isinstance(sight, Unknown) == is_seen(sight)
    row = order(after_ms=-7_000)
    reads: Reads = {"activeOrders": [row], "orders": [row], "openPositions": [position()]}
    assert is_seen(look(CLOSE, reads, window_ms=7_000))
    assert isinstance(look(CLOSE, reads, window_ms=6_999), Absent)
    row = order(after_ms=-900)
    reads = {"activeOrders": [row], "orders": [row], "openPositions": [position()]}
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
    reads = {"activeOrders": rows, "orders": rows, "openPositions": [position()]}
    assert look(CLOSE, reads, taken=frozenset({"637001"})) == Accepted(order_id="637000", order=WORKING)
    assert isinstance(look(CLOSE, reads, taken=frozenset({"637000", "637001"})), Absent)


def test_an_order_that_fits_a_rival_fits_nobody() -> None:
    """Two open closes of the same shape: a pending order does not say whose it is; an execution does."""
    rival = Close(**{**fields_of(CLOSE), "command_id": "d", "position_id": "1000343"})
    reads: Reads = {"activeOrders": [order()], "orders": [order()], "openPositions": [position()]}
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


@pytest.mark.parametrize("endpoint", ["orders", "openPositions"])
def test_what_was_seen_stays_seen_when_the_next_read_fails(endpoint: str) -> None:
    """An order that fits is not forgotten because a later read of the same look went wrong."""
    reads: Reads = {"activeOrders": [order()], "orders": [order()], endpoint: BROKEN[0]}
    assert is_seen(look(CLOSE, reads))


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


def test_pages_are_read_to_the_end() -> None:
    """The execution that proves it may be on the last page."""
    noise = [execution(n, executionId=n, positionId=7) for n in range(1, 251)]
    filled = order(status="EXECUTED", executedSize="3.44")
    sight = look(CLOSE, {"orders": [filled], "latestExecutions": [*noise, execution()]})
    assert isinstance(sight, Accepted)


def test_endless_pages_are_given_up() -> None:
    """Reading is bounded, and what was not read proves nothing."""
    full = answered([execution(n, executionId=n, positionId=7) for n in range(1, 101)])
    assert isinstance(look(CLOSE, {"latestExecutions": full}), Unknown)


def test_many_closers_are_asked_for_ten_at_a_time() -> None:
    """GET /v1/orders takes ten ids."""
    rows = [order(n, orderType="LOSSCUT") for n in range(1, 26)]
    closings = [execution(n, executionId=n, size="0.01") for n in range(1, 26)]
    assert look(CLOSE, {"orders": rows, "latestExecutions": closings}) == Done()


BROKEN = [
    Response(200, {}, b'{"status":0}'),
    Response(200, {}, b'{"status":0,"data":null}'),
    Response(
        200, {}, b'{"status":4,"messages":[{"message_code":"ERR-5003","message_string":"Requests are too many."}]}'
    ),
    Response(503, {}, b'{"status":0,"data":{}}'),
    Response(200, {}, b"<html>"),
    Response(200, {}, b'{"status":0,"data":{"list":[{"orderId":"637000"}]}}'),
    Response(200, {}, b'{"status":0,"data":{"list":{}}}'),
    Response(200, {}, b'{"status":1,"data":{}}'),
]


@pytest.mark.parametrize("broken", BROKEN, ids=range(len(BROKEN)))
@pytest.mark.parametrize("endpoint", ["activeOrders", "latestExecutions", "orders", "openPositions"])
def test_a_read_that_fails_proves_nothing(endpoint: str, broken: Response) -> None:
    """A missing `data` is not an empty list, an error not an empty account."""
    reads: Reads = {"activeOrders": [order()], "orders": [order()], "openPositions": [position()], endpoint: broken}
    assert isinstance(look(CLOSE, reads), Unknown)


@pytest.mark.parametrize("broken", BROKEN, ids=range(len(BROKEN)))
def test_a_read_of_a_known_order_or_of_others_positions_may_fail_too(broken: Response) -> None:
    """Neither a known order nor a position that others closed is settled by a read that failed."""
    assert isinstance(look(CLOSE, {"orders": broken}, order_id="637000"), Unknown)
    losscut = order(637001, orderType="LOSSCUT", status="EXECUTED")
    reads: Reads = {"orders": [losscut], "latestExecutions": [execution(637001)], "openPositions": broken}
    assert isinstance(look(CLOSE, reads), Unknown)


# A cancel


@pytest.mark.parametrize(
    ("status", "executed", "wanted"),
    [
        ("WAITING", "0", lambda state: Working(order_id="637000", order=state("working"))),
        ("ORDERED", "0", lambda state: Working(order_id="637000", order=state("working"))),
        ("ORDERED", "1", lambda state: Working(order_id="637000", order=state("partially_filled"))),
        ("MODIFYING", "0", lambda state: Working(order_id="637000", order=state("working"))),
        ("CANCELLING", "0", lambda state: Accepted(order_id="637000", order=state("working"))),
        ("CANCELED", "1", lambda state: Done(order_id="637000", order=state("canceled"))),
        ("EXPIRED", "1", lambda state: Done(order_id="637000", order=state("expired"))),
        (
            "EXECUTED",
            "3.44",
            lambda state: Refused(
                code="too_late", message="the order was executed", order_id="637000", order=state("filled")
            ),
        ),
    ],
)
def test_the_order_decides_a_cancel(
    status: str, executed: str, wanted: Callable[[Callable[[Any], OrderState]], Sight]
) -> None:
    """Still working: cancel again. Being cancelled: accepted. Not working: done. Executed: too late."""
    sight = look(CANCEL, {"orders": [order(status=status, executedSize=executed)]})
    assert sight == wanted(lambda name: OrderState(status=name, size="3.44", filled_size=executed))


def test_an_order_with_a_status_nobody_documented_is_undecided() -> None:
    """An unknown word is not a proof of anything."""
    assert isinstance(look(CANCEL, {"orders": [order(status="REPLACED")]}), Unknown)


def test_an_order_that_is_not_shown_is_absent() -> None:
    """How long the venue keeps orders is not documented: an empty answer alone proves nothing."""
    assert isinstance(look(CANCEL, {}), Absent)
    assert isinstance(look(CANCEL, {}, venue_code="ERR-5122"), Absent)


def test_an_order_that_the_venue_denies_and_does_not_show_is_not_found() -> None:
    """ERR-151 is how the venue denies an order; the read agrees."""
    wanted = Refused(code="order_not_found", venue_code="ERR-151", order_id="637000")
    assert look(CANCEL, {}, venue_code="ERR-151") == wanted
    assert isinstance(look(CANCEL, {"orders": [order()]}, venue_code="ERR-151"), Working)


@pytest.mark.parametrize("broken", BROKEN, ids=range(len(BROKEN)))
def test_a_cancels_read_that_fails_proves_nothing(broken: Response) -> None:
    """As for a close."""
    assert isinstance(look(CANCEL, {"orders": broken}), Unknown)


def test_another_order_than_asked_for_is_no_answer() -> None:
    """A row that was not asked for says that the ids were ignored: ours may be among what is not shown."""
    for reads in ({"orders": answered([order(1)])}, {"orders": answered([order(orderId=1)])}):
        sight = look(CANCEL, reads, venue_code="ERR-151")
        assert isinstance(sight, Unknown)
        assert not sight.whole


@pytest.mark.parametrize("endpoint", ["activeOrders", "latestExecutions", "openPositions"])
def test_a_list_of_another_symbol_proves_nothing(endpoint: str) -> None:
    """A filter that was ignored leaves open what else was; what is seen all the same stays seen."""
    others: dict[str, Row] = {
        "activeOrders": order(5, symbol="ETH_JPY"),
        "latestExecutions": execution(5, symbol="ETH_JPY", positionId=7),
        "openPositions": position() | {"positionId": 7, "symbol": "ETH_JPY"},
    }
    sight = look(CLOSE, {"openPositions": [position()], endpoint: [others[endpoint]]})
    assert isinstance(sight, Unknown)
    assert not sight.whole
    both = look(CLOSE, {"activeOrders": [order(), others["activeOrders"]], "openPositions": [position()]})
    assert is_seen(both)


@pytest.mark.parametrize("endpoint", ["activeOrders", "latestExecutions", "openPositions"])
def test_a_page_that_is_not_the_one_asked_for_proves_nothing(endpoint: str) -> None:
    """A page number that is ignored shows the first page for ever."""
    rows = {
        "activeOrders": [order(n, side="SELL") for n in range(1, 101)],
        "latestExecutions": [execution(n, executionId=n, positionId=7) for n in range(1, 101)],
        "openPositions": [position() | {"positionId": n} for n in range(1, 101)],
    }[endpoint]
    sight = look(CLOSE, {"openPositions": [position()], endpoint: answered(rows)})
    assert isinstance(sight, Unknown)
    assert not sight.whole


def test_pages_cut_shorter_than_asked_are_read_on() -> None:
    """The venue says how long its pages are: thirty rows of a page of thirty are no end."""
    noise = [execution(n, executionId=n, positionId=7) for n in range(1, 31)]
    first = {"pagination": {"currentPage": 1, "count": 30}, "list": noise}
    last = {"pagination": {"currentPage": 2, "count": 30}, "list": [execution()]}
    filled = order(status="EXECUTED", executedSize="3.44")
    flow = GMO.lookup(CLOSE, Attempt(client_order_id="x", sent_ms=SENT_MS, now_ms=SENT_MS + 70_000))
    pages = [Response(200, {}, json.dumps({"status": 0, "data": data}).encode()) for data in ({}, first, last)]
    next(flow)
    for answer in pages:
        request = flow.send(answer)
    assert request.endpoint == "orders"
    with pytest.raises(StopIteration) as stop:
        flow.send(answered([filled]))
    assert isinstance(stop.value.value, Accepted)


@pytest.mark.parametrize("endpoint", ["activeOrders", "latestExecutions", "orders", "openPositions"])
@pytest.mark.parametrize(
    "refused",
    [
        Response(401, {}, b""),
        Response(403, {}, b"<html>"),
        Response(200, {}, b'{"status":1,"messages":[{"message_code":"ERR-5012","message_string":"Invalid API-KEY"}]}'),
    ],
    ids=["401", "403", "ERR-5012"],
)
def test_a_key_that_may_not_read_stops_the_look(endpoint: str, refused: Response) -> None:
    """Permission is per function: what is refused once is refused again, so the look says not to ask again."""
    reads: Reads = {"activeOrders": [order()], "orders": [order()], "openPositions": [position()], endpoint: refused}
    sight = look(CLOSE, reads)
    assert isinstance(sight, Unknown)
    assert (sight.denied, sight.whole) == (True, False)


def test_a_command_without_a_target_has_no_lookup() -> None:
    """What was never sent cannot be looked for."""
    everything = CloseAll(command_id="c", venue="gmo_coin", account="main", not_after=NOT_AFTER)
    assert isinstance(look(everything, {}), Unknown)


# Rows of any content


values: st.SearchStrategy[Any] = st.sampled_from(
    [None, 0, -1, 2**70, "", "0", "1e5", "3.44", "NaN", "ORDERED", "CLOSE", "٣", [], {}, True]
) | (st.sampled_from([at(0), at(-4_000), "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2019-03-19"]))


@given(data=st.data())
@settings(deadline=None, max_examples=300)
def test_a_lookup_survives_rows_of_any_content(data: st.DataObject) -> None:
    """Whatever a row holds, a lookup ends with a sight, and a close never with `Working`."""
    edits = {key: data.draw(values) for key in data.draw(st.sets(st.sampled_from(list(order())), max_size=3))}
    fills = {key: data.draw(values) for key in data.draw(st.sets(st.sampled_from(list(execution())), max_size=2))}
    spots = {key: data.draw(values) for key in data.draw(st.sets(st.sampled_from(list(position())), max_size=1))}
    reads: Reads = {
        "activeOrders": data.draw(st.sampled_from([[], [order() | edits]])),
        "latestExecutions": data.draw(st.sampled_from([[], [execution() | fills]])),
        "orders": answered([order() | edits]),
        "openPositions": data.draw(st.sampled_from([[], [position() | spots]])),
    }
    code = data.draw(st.sampled_from([None, "ERR-254"]))
    assert not isinstance(look(CLOSE, reads, venue_code=code), Working)
    assert look(CANCEL, reads) is not None
