"""Coinbase: what a feed may have missed."""

import json
from collections.abc import Generator
from itertools import cycle
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.venue_protocol import Request, Response
from router.venue_protocol.stream import Change, Fill, Known, Missed
from tests.unit.venues.coinbase.feeding import COINBASE, SYMBOL, documented, documents, row

SINCE_MS = 1_700_000_000_999

SINCE = "2023-11-14T22:13:15.999Z"

LIST, FILLS = "/api/v3/brokerage/orders/historical/batch", "/api/v3/brokerage/orders/historical/fills"


def reply(body: Any, status: int = 200) -> Response:
    return Response(status, {}, json.dumps(body).encode())


def page(*rows: Any, cursor: str = "") -> Response:
    return reply({"orders": rows, "has_next": bool(cursor), "cursor": cursor})


def executions(*rows: Any) -> Response:
    return reply({"fills": rows, "cursor": ""})


def reconcile(*answers: Response, open_orders: tuple[str, ...] = ()) -> tuple[Missed, list[Request]]:
    """Feed a reconciliation its canned answers; every one of them must be asked for."""
    known = Known(since_ms=SINCE_MS, open_orders=tuple((order_id, SYMBOL) for order_id in open_orders))
    return run(COINBASE.reconcile(known), *answers)


def run(
    flow: Generator[Request, Response, Missed], *answers: Response, queued: list[Response] | None = None
) -> tuple[Missed, list[Request]]:
    waiting, queued = list(answers), list(queued or ())
    asked: list[Request] = []
    try:
        request = next(flow)
        while True:
            if ("order_status", "QUEUED") in request.query:  # nothing waits, unless a test says so
                request = flow.send(queued.pop(0) if queued else page())
                continue
            asked.append(request)
            request = flow.send(waiting.pop(0))
    except StopIteration as stop:
        assert not waiting, f"never asked for: {waiting}"
        missed: Missed = stop.value
        return missed, asked


NOTHING = (page(), page(), page(), page(), executions())


def test_a_reconciliation_reads_open_and_new_orders_of_both_sources_and_the_fills() -> None:
    """Five reads when nothing happened, five seconds early for the clocks; by default the venue hides other sources."""
    missed, asked = reconcile(*NOTHING)
    assert missed == Missed()
    simple = ("order_placement_source", "RETAIL_SIMPLE")
    assert [(request.path, request.query) for request in asked] == [
        (LIST, (("order_status", "OPEN"),)),
        (LIST, (("start_date", SINCE),)),
        (LIST, (("order_status", "OPEN"), simple)),
        (LIST, (("start_date", SINCE), simple)),
        (FILLS, (("start_sequence_timestamp", SINCE),)),
    ]
    assert {(request.method, request.scopes) for request in asked} == {("GET", ("private",))}


def test_the_documented_order_is_read_whole() -> None:
    """An order of a list and a report of the stream come to the same change."""
    shown = documented("order")["order"]
    [change] = reconcile(page(shown), *NOTHING[1:])[0].changes
    assert change == Change(
        order_id="11111-00000-000000",
        client_order_id="0000-00000-000000",
        symbol="BTC-USD",
        side="buy",
        order_type="limit",
        time_in_force="gtc",
        status="partially_filled",
        price="50200.00",
        size="0.001",
        filled_size="0.0005",
        venue_time="2021-05-31T09:59:59.000Z",
        raw=shown,
    )


def test_an_open_order_that_no_list_shows_is_read_by_its_id() -> None:
    """It ended in the gap: nothing else would ever tell."""
    ended = row("B/2", "CANCELLED", cancel_message="User requested cancel")
    missed, asked = reconcile(page(row("A-1")), *NOTHING[1:], reply({"order": ended}), open_orders=("A-1", "B/2"))
    assert asked[-1].path == "/api/v3/brokerage/orders/historical/B%2F2"
    assert [(change.order_id, change.status, change.cancel_reason) for change in missed.changes] == [
        ("A-1", "partially_filled", None),
        ("B/2", "canceled", "User requested cancel"),
    ]
    assert missed.complete


def execution(number: int, at: str, order_id: Any = "A-9") -> dict[str, Any]:
    return {"order_id": order_id, "trade_id": f"t{number}", "price": "30001", "size": str(number), "commission": "0.5",
            "trade_time": at}  # fmt: skip


@pytest.mark.parametrize(
    "fills",
    [
        [execution(2, "2023-11-14T22:13:21Z"), execution(1, "2023-11-14T22:13:20Z")],
        [execution(1, "2023-11-14T22:13:20Z"), execution(2, "2023-11-14T22:13:21Z")],
        [execution(2, "2023-11-14T22:13:20Z"), execution(1, "2023-11-14T22:13:20Z")],
        [execution(2, "?"), execution(1, "?"), execution(3, "2023-11-14T22:13:20Z", order_id=7)],
    ],
)
def test_an_order_filled_in_the_gap_is_found_by_its_fill(fills: list[dict[str, Any]]) -> None:
    """An order that nobody knew before and that is gone now; its newest execution goes along."""
    missed, _ = reconcile(*NOTHING[:4], executions(*fills), reply({"order": row("A-9", "FILLED", filled_size="3")}))
    [change] = missed.changes
    assert (change.status, change.filled_size) == ("filled", "3")
    assert change.last_fill == Fill(execution_id="t2", price="30001", size="2", fee="0.5")


def test_executions_are_told_apart_by_their_entry() -> None:
    """`trade_id` is unique only among FILL; a reversal, a correction or a synthetic row is no execution."""
    rows = [
        execution(1, "2023-11-14T22:13:20Z") | {"entry_id": "e1", "trade_type": "FILL"},
        *(execution(1, "2023-11-14T22:13:29Z") | {"entry_id": kind, "trade_type": kind}
          for kind in ("REVERSAL", "CORRECTION", "SYNTHETIC")),
    ]  # fmt: skip
    missed, _ = reconcile(*NOTHING[:4], executions(*rows), reply({"order": row("A-9", "FILLED", filled_size="1")}))
    assert [change.last_fill and change.last_fill.execution_id for change in missed.changes] == ["e1"]
    missed, _ = reconcile(*NOTHING[:4], executions(rows[1]), reply({"order": row("A-9", "OPEN", filled_size="0")}))
    assert [change.last_fill for change in missed.changes] == [None]


@pytest.mark.parametrize("place", range(5))
def test_a_list_that_hides_rows_leaves_the_gap_open(place: int) -> None:
    """`live` claims every order; what is shown all the same is told."""
    answers = [page(row(str(number))) for number in range(4)]
    hiding = {"orders": [row("A-7")], "fills": [], "has_next": False, "proof_token_required": True}
    answers = [*answers, executions()]
    answers[place] = reply(hiding)
    missed, _ = reconcile(*answers)
    assert not missed.complete
    assert {change.order_id for change in missed.changes} >= ({"A-7"} if place < 4 else {"0", "1", "2", "3"})


def test_what_was_read_later_counts() -> None:
    """An order that was open in the first list and filled in the second is filled."""
    missed, _ = reconcile(page(row()), page(row(status="FILLED")), *NOTHING[2:], open_orders=("A-1",))
    assert [change.status for change in missed.changes] == ["filled"]


def test_a_list_is_read_to_its_end() -> None:
    """Pages follow each other by their cursor."""
    missed, asked = reconcile(page(row("A-1"), cursor="c1"), page(row("A-2")), *NOTHING[1:])
    assert [change.order_id for change in missed.changes] == ["A-1", "A-2"]
    assert asked[1].query == (("order_status", "OPEN"), ("cursor", "c1"))


@pytest.mark.parametrize(
    "answer",
    [reply({}, 500), reply({"orders": 7}), reply({"orders": [7]}), reply({"orders": [{"order_id": ""}]}),
     Response(200, {}, b"<html>"), reply({"orders": [], "has_next": True, "cursor": ""}), reply({"errors": []}, 429)],
)  # fmt: skip
@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_a_list_that_cannot_be_read_leaves_it_incomplete(answer: Response, place: int) -> None:
    """The others are told all the same."""
    answers = [page(row(str(number))) for number in range(4)]
    answers[place] = answer
    missed, _ = reconcile(*answers, executions())
    assert not missed.complete
    assert [change.order_id for change in missed.changes] == [str(number) for number in range(4) if number != place]


@pytest.mark.parametrize("status", [401, 429, 500])
def test_an_order_or_a_list_of_fills_that_cannot_be_read_leaves_it_incomplete(status: int) -> None:
    """No answer is not an answer."""
    assert not reconcile(*NOTHING, reply({}, status), open_orders=("A-1",))[0].complete
    assert not reconcile(*NOTHING[:4], reply({}, status))[0].complete


def test_an_order_that_the_venue_denies_shows_nothing() -> None:
    """Every read worked, so it is complete: a gap ends with what the venue still shows."""
    assert reconcile(*NOTHING, reply({"error": "NOT_FOUND"}, 404), open_orders=("A-1",))[0] == Missed()


def test_an_undocumented_status_says_nothing() -> None:
    """The last known one stays."""
    [change] = reconcile(page(row(status="UNKNOWN_ORDER_STATUS")), *NOTHING[1:])[0].changes
    assert change.status is None


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"reject_reason": "HOLD_FAILURE", "reject_message": "on hold"}, "HOLD_FAILURE"),
        ({"reject_reason": "REJECT_REASON_UNSPECIFIED", "reject_message": "on hold"}, "on hold"),
        ({}, None),
    ],
)
def test_a_rejection_gives_its_most_specific_reason(fields: Any, reason: str | None) -> None:
    """A placeholder is none."""
    [change] = reconcile(page(row(status="FAILED", **fields)), *NOTHING[1:])[0].changes
    assert (change.status, change.cancel_reason) == ("rejected", reason)


bodies = st.binary(max_size=30) | (
    st.fixed_dictionaries(
        {},
        optional={
            "orders": st.lists(
                st.fixed_dictionaries({"order_id": documents}, optional={"status": documents}), max_size=3
            ),
            "fills": st.lists(
                st.fixed_dictionaries({}, optional={"order_id": documents, "trade_time": documents}), max_size=3
            ),
            "order": st.fixed_dictionaries({"order_id": st.sampled_from(["A-1", "A-2"])}) | documents,
            "has_next": documents,
            "cursor": documents,
        },
    )
    | documents
).map(lambda value: json.dumps(value).encode())


@given(
    st.lists(st.builds(Response, st.sampled_from([200, 200, 404, 500]), st.just({}), bodies), min_size=1, max_size=5)
)
@settings(deadline=None, max_examples=200)
def test_a_reconciliation_survives_any_answers(answers: list[Response]) -> None:
    """Whatever its reads bring, it ends, reads only, and tells what can be stored."""
    flow = COINBASE.reconcile(Known(since_ms=0, open_orders=(("A-1", SYMBOL), ("..", None))))
    try:
        request = next(flow)
        for reads, answer in enumerate(cycle(answers)):
            assert request.method == "GET"
            assert reads < 520, "it never ends"
            request = flow.send(answer)
    except StopIteration as stop:
        missed = stop.value
    msgspec.json.encode(missed)


@pytest.mark.parametrize("place", range(6))
def test_after_a_read_that_is_denied_none_follows(place: int) -> None:
    """Whoever goes on asking with a refused key may be blocked."""
    answers = [*NOTHING[:place], Response(401, {}, b"Unauthorized")]
    missed, asked = reconcile(*answers, open_orders=("A-1", "A-2"))
    assert (missed.complete, missed.denied) == (False, True)
    assert len(asked) == place + 1


def test_what_waits_for_a_session_is_asked_for_too() -> None:
    """`OPEN` leaves out what is queued, however long it has been: a feed that says `live` knows of it."""
    waiting = row("Q-1", "QUEUED")
    missed, _ = run(COINBASE.reconcile(Known(since_ms=SINCE_MS)), *NOTHING, queued=[page(waiting)])
    assert [change.order_id for change in missed.changes] == ["Q-1"]
    assert missed.complete


def test_a_fill_that_leads_to_no_order_leaves_the_gap_open() -> None:
    """Its order is there, whatever a read says; and a row without a readable id hides one."""
    told = executions(execution(1, "2023-11-14T22:13:20Z"))
    missed, _ = reconcile(*NOTHING[:4], told, reply({"error": "NOT_FOUND"}, 404))
    assert not missed.complete
    missed, _ = reconcile(*NOTHING[:4], executions(execution(1, "2023-11-14T22:13:20Z", order_id=17)))
    assert not missed.complete
