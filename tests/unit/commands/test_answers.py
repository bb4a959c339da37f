"""From what is known of a command to the result its sender hears (`router.commands.answers`)."""

import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.clock import to_time, to_us
from router.commands import answers
from router.records.command import CommandRecord
from router.telemetry import clean
from router.venue_protocol import Accepted, Done, Look, Refused, Unknown
from schemas.codec import JSON, MSGPACK, Echo, decode_result, encode_result
from schemas.commands import Cancel, Close
from schemas.ids import client_order_id, refusal_id, result_id
from schemas.results import OrderState, Reason, Result

NOW_US = 1_790_000_000_123_456
FILLED = OrderState(status="filled", size="1.0", filled_size="1.0", average_price="10.50")
CLOSE = Close(command_id="c1", venue="acme", account="main", symbol="BTC", not_after=to_time(NOW_US + 9_000_000))
CANCEL = Cancel(command_id="c1", venue="acme", account="main", order_id="7", not_after=to_time(NOW_US + 9_000_000))


def record(command: Close | Cancel = CLOSE, **fields: Any) -> CommandRecord:
    """Return a command that was sent once, a second ago."""
    known: dict[str, Any] = {"tries": 1, "attempts": 1, "first_sent_us": NOW_US - 1_000_000}
    return CommandRecord(
        sender="alpha",
        command_id=command.command_id,
        command=command,
        client_order_id=client_order_id("alpha", command.command_id),
        received_us=NOW_US - 2_000_000,
        **{**known, **fields},
    )


@given(st.integers(0, 4_000_000_000_000_000))
def test_times_are_exact(us: int) -> None:
    """A microsecond is never lost between the journal and the wire."""
    assert to_us(to_time(us)) == us


def test_a_time_of_another_zone_is_the_same_moment() -> None:
    """Offsets are the sender's own affair."""
    zone = datetime.timezone(datetime.timedelta(hours=9))
    assert to_us(to_time(NOW_US).astimezone(zone)) == NOW_US


@pytest.mark.parametrize("command", [CLOSE, CANCEL], ids=["close", "cancel"])
def test_every_result_echoes_its_command(command: Close | Cancel) -> None:
    """Contract, section 2: the echo fields, the ids, the times."""
    ended, result = answers.settled(record(command), Accepted(order_id="7", order=FILLED), "response", NOW_US)
    assert (result.command_id, result.venue, result.account) == ("c1", "acme", "main")
    assert result.action == ("close" if command is CLOSE else "cancel")
    assert result.result_id == result_id("alpha", "c1", 1)
    assert result.client_order_id == client_order_id("alpha", "c1")
    assert (result.seq, result.final, result.duplicate, result.dry_run) == (1, True, False, False)
    assert (to_us(result.received_at), to_us(result.completed_at)) == (NOW_US - 2_000_000, NOW_US)
    assert result.sent_at == to_time(NOW_US - 1_000_000)
    assert (ended.state, ended.next_us, ended.seq, ended.order_id) == ("final", None, 1, "7")


@pytest.mark.parametrize(
    ("outcome", "name"),
    [(Accepted(order_id="7", order=FILLED), "accepted"), (Done(order_id="7", order=FILLED), "done")],
)
def test_what_the_venue_took_or_had_done(outcome: Accepted | Done, name: str) -> None:
    """Without a reason, with the order as proof."""
    _, result = answers.settled(record(), outcome, "query", NOW_US)
    assert (result.outcome, result.reason, result.order, result.order_id) == (name, None, FILLED, "7")
    assert result.evidence == "query"


def test_a_refusal_says_why() -> None:
    """Our code, the venue's own, and its words."""
    refused = Refused(code="invalid_price", venue_code="ERR-5106", message="bad price")
    _, result = answers.settled(record(), refused, "response", NOW_US)
    assert result.outcome == "rejected"
    assert result.reason == Reason(code="invalid_price", venue_code="ERR-5106", message="bad price")


def test_what_was_seen_before_stands_when_the_end_shows_nothing() -> None:
    """The last venue state that was seen is the proof."""
    ended, result = answers.settled(record(order=FILLED, order_id="9"), Done(), "query", NOW_US)
    assert (result.order, result.order_id, ended.order_id) == (FILLED, "9", "9")


def test_nothing_sent_has_no_time() -> None:
    """`sent_at` and `attempts` count only what may have reached the venue."""
    _, result = answers.refused(record(attempts=0), "expired", "too late", NOW_US)
    assert (result.attempts, result.sent_at, result.evidence) == (0, None, "router")


def test_a_dry_run_is_accepted_and_says_so() -> None:
    """Nothing was sent at all."""
    ended, result = answers.dry(record(tries=0, attempts=0, first_sent_us=None), NOW_US)
    assert (result.outcome, result.dry_run, result.attempts, result.sent_at) == ("accepted", True, 0, None)
    assert ended.state == "final"


def test_a_doubt_is_not_final_and_never_rejected() -> None:
    """`timeout` only with `in_doubt`; the position stays held."""
    doubtful, result = answers.doubted(record(venue_code="E1", message="what?", position="p1"), NOW_US)
    assert (result.outcome, result.final, result.seq) == ("in_doubt", False, 1)
    assert result.reason == Reason(code="timeout", venue_code="E1", message="what?")
    assert (doubtful.state, doubtful.doubt_us, doubtful.position) == ("in_doubt", NOW_US, "p1")


def test_each_result_of_a_command_has_the_next_number_and_its_own_id() -> None:
    """Doubt, given up, settled late: 1, 2, 3."""
    doubtful, first = answers.doubted(record(), NOW_US)
    given_up, second = answers.unresolved(doubtful, "cannot tell", NOW_US + 1)
    _, third = answers.settled(given_up, Accepted(order_id="7"), "query", NOW_US + 2)
    assert [(r.seq, r.final, r.outcome) for r in (first, second, third)] == [
        (1, False, "in_doubt"),
        (2, True, "in_doubt"),
        (3, True, "accepted"),
    ]
    assert second.reason is not None
    assert second.reason.code == "unresolved"
    assert [r.result_id for r in (first, second, third)] == [result_id("alpha", "c1", n) for n in (1, 2, 3)]


def test_what_is_not_stored_is_known_by_its_body() -> None:
    """Equal bodies share an id; what could not be read is null."""
    one, same, other = (
        answers.unrecorded(Echo(command_id="c1"), "alpha", body, "invalid_command", "x" * 900, NOW_US)
        for body in (b"{", b"{", b"[")
    )
    assert (one.result_id, same.result_id) == (refusal_id("alpha", b"{"), one.result_id)
    assert other.result_id != one.result_id
    assert (one.seq, one.final, one.command_id, one.venue, one.action) == (1, True, "c1", None, None)
    assert one.reason is not None
    assert len(one.reason.message) <= 500


def test_ids_cannot_be_forged_by_another_name() -> None:
    """A refusal's id is never a result's, nor one sender's another's."""
    ids = {result_id("a", "b", 1), refusal_id("a", b""), result_id("b", "a", 1), result_id("a", "b", 2)}
    assert len(ids) == 4


SECRETS = [
    "c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00",
    "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJvcmdhbml6YXRpb25zIn0.c2lnbmF0dXJl",
    "3q2+7w3q2+7w3q2+7w3q2+7w3q2+7w3q2+7w3q2+7w==",
]


@pytest.mark.parametrize("secret", SECRETS)
def test_a_venue_that_quotes_what_it_was_sent_is_not_repeated(secret: str) -> None:
    """A signature is good for some seconds more; no result, row or log line carries it."""
    for seen in (Unknown(message=f"bad signature {secret}!"), Look(venue_code=f"E {secret}", message=secret)):
        assert secret not in repr(clean(seen))


def test_a_venues_ordinary_words_are_kept_and_cut() -> None:
    """Request ids, error names and ids of orders stay as they are; a page of text does not."""
    words = "UNSUPPORTED_ORDER_CONFIGURATION_FOR_PRODUCT 11111111-2222-3333-4444-555555555555"
    refused = Refused(code="venue_rejected", message=words, order_id="0123456789" * 4)
    assert clean(refused) == refused
    long = clean(Refused(code="venue_rejected", venue_code="x y " * 99, message="so it is " * 99))
    assert isinstance(long, Refused)
    assert len(long.message) == 300
    assert len(long.venue_code or "") == 64


@pytest.mark.parametrize("codec", [JSON, MSGPACK])
def test_a_result_survives_its_codec(codec: str) -> None:
    """What the sender decodes is what was meant, in both codecs."""
    _, result = answers.settled(record(), Refused(code="too_late", order=FILLED), "query", NOW_US)
    assert decode_result(encode_result(result, codec), codec) == result
    assert isinstance(result, Result)
