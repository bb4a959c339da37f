"""BtcTurk: a canceled stop, and one that was triggered."""

from typing import Any

import pytest

from router.venue_protocol import (
    Attempt,
    Done,
    LookOutcome,
    Refused,
    Response,
    Unknown,
)
from tests.unit.venues.btcturk.canned import (
    BOOK,
    BTCTURK,
    FAMILY,
    SENT_MS,
    STOP,
    cancel,
    envelope,
    found,
    look,
    order,
    state,
)


def test_a_key_that_may_not_read_stops_the_look() -> None:
    """An address was once blocked after fifty unauthorised calls: the look says that asking again tells nothing."""
    for body in (b"", b"<html>", envelope("Unauthorized - Invalid Signature", 1037, success=True)):
        for status in (401, 403):
            sight = look([Response(status, {}, body)])[0]
            assert isinstance(sight, Unknown)
            assert (sight.denied, sight.whole) == (True, False)


CHILD: dict[str, Any] = FAMILY["child"] | {"id": 200000000}

UNTOUCHED = state("canceled", "0.0000000000000000", STOP["amount"])


def stopped(*history: dict[str, Any], stop: dict[str, Any] = STOP, after_ms: int = 10_000) -> LookOutcome:
    """Look up a canceled stop in a pair with this history and nothing open."""
    return look([found(stop), found(BOOK), found(list(history))], after_ms=after_ms)[0]


def test_a_canceled_stop_without_a_child_is_done() -> None:
    """Whatever else stands there, and whoever shares its client id."""
    strangers = [STOP, order(1, status="Closed"), CHILD | {"id": 3, "orderClientId": "x", "amount": "7"}]
    strangers = [row | {"pairSymbol": "ETHUSDT"} for row in strangers]
    sight, reads = look([found(STOP), found(BOOK), found(strangers)])
    assert sight == Done(order_id="123456789", order=UNTOUCHED)
    assert [(read.endpoint, read.scopes) for read in reads] == [
        ("order", ("order",)),
        ("open_orders", ("open_orders",)),
        ("all_orders", ("all_orders",)),
    ]
    assert all(dict(read.query)["pairSymbol"] == "ETHUSDT" for read in reads[1:])


@pytest.mark.parametrize(
    "odd",
    [
        {"stopPrice": "0"},
        {"stopPrice": "1800.2"},
        {"amount": "0.2"},
        {"type": "sell"},
        {"method": "stopmarket"},
        {"method": "STOP_LIMIT"},
        {"time": STOP["updateTime"] + 60_001},
        {"time": STOP["time"]},
        {"id": 123456788},
    ],
)
@pytest.mark.parametrize("status", ["Untouched", "Partial", "Closed"])
def test_a_stranger_with_the_same_client_id_is_no_child(odd: dict[str, Any], status: str) -> None:
    """A working order of another stop price, amount, side, method or time says nothing of this stop."""
    assert stopped(STOP, CHILD | {"status": status} | odd) == Done(order_id="123456789", order=UNTOUCHED)


@pytest.mark.parametrize("method", ["stoplimit", "stopMarket", "STOPLIMIT", "stop_limit", "stop-limit", "stop", ""])
@pytest.mark.parametrize("where", ["asks", "bids", "history"])
@pytest.mark.parametrize("client_id", ["48e33815", "advanced", None])
def test_a_triggered_stop_is_too_late(method: str, where: str, client_id: str | None) -> None:
    """The stop says Canceled while its child executes: the cancel lost the race. No client id is asked for."""
    child = CHILD | {"status": "Partial", "leftAmount": "0.1", "orderClientId": client_id}
    book = BOOK | ({where: [child]} if where != "history" else {})
    history = [STOP, child] if where == "history" else [STOP]
    sight, _ = look([found(STOP | {"method": method}), found(book), found(history)])
    assert sight == Refused(
        code="too_late",
        message="the stop was triggered: another order executes it",
        order_id="200000000",
        order=state("partially_filled", "0.0997491904775655", STOP["amount"]),
    )


def test_numbers_of_parent_and_child_are_compared_as_numbers() -> None:
    """Trailing zeros are no difference."""
    assert isinstance(stopped(CHILD | {"stopPrice": "1800.1000", "amount": "0.19974919047756550"}), Refused)


@pytest.mark.parametrize(
    "missing", [{"time": 0}, {"time": None}, {"stopPrice": None}, {"amount": None}, {"type": ""}, {"method": ""}]
)
def test_what_fits_but_does_not_show_all_is_a_doubt(missing: dict[str, Any]) -> None:
    """Older answers leave fields out, and write 0 for a time (issue 299): neither child nor stranger."""
    sight = stopped(CHILD | missing)
    assert isinstance(sight, Unknown)
    assert sight.seen


def test_a_time_that_is_near_is_a_doubt() -> None:
    """One sample shows equal times: a millisecond between them must not make a stop that executes `canceled`."""
    for apart_ms in (-60_000, -1, 1, 60_000):
        assert isinstance(stopped(CHILD | {"time": STOP["updateTime"] + apart_ms}), Unknown)


def test_a_canceled_stop_without_a_child_is_not_done_at_once() -> None:
    """How soon the new order of a triggered stop is listed is not documented: the first seconds prove nothing."""
    assert isinstance(stopped(after_ms=9_999), Unknown)
    assert isinstance(stopped(after_ms=10_000), Done)
    assert isinstance(stopped(CHILD, after_ms=0), Refused)


def test_a_child_seen_twice_is_one_and_its_later_state_counts() -> None:
    """Open when the first list was read, closed in the second: one order, filled."""
    working = CHILD | {"status": "Untouched", "leftAmount": CHILD["amount"]}
    sight, _ = look([found(STOP), found(BOOK | {"bids": [working]}), found([CHILD])])
    assert isinstance(sight, Refused)
    assert sight.order is not None
    assert sight.order.status == "filled"


def test_several_children_are_ambiguous() -> None:
    """Two stops of one price, triggered in one instant, do not say which became which."""
    sight = stopped(CHILD, CHILD | {"id": 200000001})
    assert isinstance(sight, Unknown)
    assert sight.seen


def test_a_stop_whose_child_cannot_be_looked_for_is_undecided() -> None:
    """Without a pair there is nothing to look with; the command's symbol stands in for it."""
    nameless = found(STOP | {"pairSymbol": ""})
    assert isinstance(look([nameless])[0], Unknown)
    sight, reads = look([nameless, found(BOOK), found([])], cancel(symbol="BTCTRY"))
    assert isinstance(sight, Done)
    assert dict(reads[1].query) == {"pairSymbol": "BTCTRY"}


def test_the_history_is_read_to_its_end() -> None:
    """A page may be as small as the venue's default of 100, and `limit` ignored; the end brings nothing new."""
    pages = [found([order(page * 100 + n, pairSymbol="ETH_USDT") for n in range(1, 101)]) for page in range(3)]
    sight, reads = look([found(STOP), found(BOOK), *pages, found([CHILD])])
    assert isinstance(sight, Refused)
    assert [dict(read.query).get("page") for read in reads[2:]] == [None, "1", "2", "3"]
    assert isinstance(look([found(STOP), found(BOOK), pages[0], pages[1], pages[1]])[0], Done)
    endless = [found([order(page * 100 + n, pairSymbol="ETHUSDT") for n in range(1, 101)]) for page in range(20)]
    torn = look([found(STOP), found(BOOK), *endless])[0]
    assert isinstance(torn, Unknown)
    assert not torn.whole


def test_a_list_of_another_pair_is_no_list() -> None:
    """A filter that was ignored leaves open what else was."""
    for answers in ([found(BOOK | {"asks": [order()]})], [found(BOOK), found([order()])]):
        sight = look([found(STOP), *answers])[0]
        assert isinstance(sight, Unknown)
        assert not sight.whole


@pytest.mark.parametrize("broken", [found(None), found({}), found([None]), found("x"), Response(504, {}, b"<html>")])
def test_a_list_that_fails_proves_no_absence(broken: Response) -> None:
    """A stop is only done when both lists were read."""
    assert isinstance(look([found(STOP), broken])[0], Unknown)
    assert isinstance(look([found(STOP), found(BOOK), broken])[0], Unknown)


def test_a_stop_that_was_triggered_just_now_is_undecided() -> None:
    """However long ago the cancel was sent: what it became may not be listed yet, and executes."""
    assert STOP["updateTime"] == SENT_MS
    late = STOP | {"updateTime": SENT_MS + 60_000}
    assert isinstance(stopped(stop=late, after_ms=60_300), Unknown)
    assert isinstance(stopped(stop=late, after_ms=70_000), Done)


def test_pages_that_are_counted_from_one_are_read_on() -> None:
    """The page that comes without a number may be page 1: the one that brings nothing new is not the last then."""
    others = [
        order(number, pairSymbol=STOP["pairSymbol"], status="Closed", amount="7", time=1_600_000_000_000 + number)
        for number in range(1, 1001)
    ]
    pages = {"": others, "1": others, "2": [CHILD | {"id": 200_000_000}]}
    flow = BTCTURK.lookup(cancel(symbol=STOP["pairSymbol"]), Attempt(client_order_id="x", sent_ms=1, now_ms=SENT_MS))
    sight: object = None
    try:
        request = next(flow)
        while True:
            listed = found(pages.get(dict(request.query).get("page", ""), []))
            request = flow.send({"order": found(STOP), "open_orders": found(BOOK)}.get(request.endpoint, listed))
    except StopIteration as stop:
        sight = stop.value
    assert isinstance(sight, Refused)
    assert sight.order_id == "200000000"
