"""What can be said against a command before any venue is asked (`router.commands.intake`)."""

from collections.abc import Mapping
from typing import Any

import pytest

from router.access.configured import Account, Venue
from router.access.limiter import Limiter
from router.clock import to_time
from router.commands.intake import FUTURE_US, Objection, may_reply, objection, unauthorized
from router.config import SenderPolicy
from router.records.delivery import Delivery
from router.venue_protocol import Options, Secrets
from schemas.codec import JSON, MSGPACK
from schemas.commands import Cancel, CancelAll, Close, CloseAll, Command
from tests.unit.commands.fake_venue import FakeAdapter
from tests.unit.commands.virtual_time import VirtualClock, VirtualLoop

S = 1_000_000
NOW_US = 1_790_000_000 * S
HORIZON_US = 300 * S


async def _settled() -> None:
    """Ack or reject nothing."""


def delivery(command: Command | None = None, **fields: Any) -> Delivery:
    """Return a delivery as the broker would make it of this command."""
    key = "" if command is None else f"{command.venue}.{command.account}.{command.__struct_config__.tag}"
    known: dict[str, Any] = {
        "body": b"",
        "venue": "acme",
        "routing_key": key,
        "sender": "alpha",
        "reply_to": "alpha.results",
        "correlation_id": "c",
        "content_type": "",
        "traceparent": "",
        "redelivered": False,
        "sent_us": None,
        "headers": {},
        "ack": _settled,
        "reject": _settled,
    }
    return Delivery(**{**known, **fields})


def close(**fields: Any) -> Close:
    """Return a close that nothing can be said against."""
    known: dict[str, Any] = {"venue": "acme", "account": "main", "symbol": "BTC", "not_after": to_time(NOW_US + 10 * S)}
    return Close(command_id="c1", **{**known, **fields})


def cancel(**fields: Any) -> Cancel:
    """Return a cancel without any order."""
    known: dict[str, Any] = {"venue": "acme", "account": "main", "not_after": to_time(NOW_US + 10 * S)}
    return Cancel(command_id="x1", **{**known, **fields})


@pytest.fixture(scope="module")
def venues() -> Mapping[str, Venue]:
    """One venue with one account."""
    adapter = FakeAdapter("acme")
    account = Account("main", adapter.signer(Secrets(api_key="key", api_secret="secret")))
    loop = VirtualLoop()
    limiter = Limiter((), VirtualClock(loop))
    loop.close()
    options = Options(rest_url="https://acme")
    return {"acme": Venue(name="acme", adapter=adapter, options=options, accounts={"main": account}, limiter=limiter)}


def against(venues: Mapping[str, Venue], command: Command, **fields: Any) -> Objection | None:
    """Ask for the objection to a command."""
    return objection(delivery(command, **fields), command, venues, HORIZON_US, NOW_US)


def code(found: Objection | None) -> str | None:
    """Return an objection's code."""
    return None if found is None else found.code


def test_nothing_is_said_against_an_ordinary_command(venues: Mapping[str, Venue]) -> None:
    """Each kind that is offered, each way to name an order."""
    for command in (
        close(),
        cancel(order_id="1"),
        cancel(target_command_id="c0"),
        close(order_type="limit", price="1"),
    ):
        assert against(venues, command) is None


@pytest.mark.parametrize("key", ["", "acme.main.cancel", "acme.other.close", "other.main.close", "acme.main.close.x"])
def test_the_routing_key_must_say_what_the_body_says(venues: Mapping[str, Venue], key: str) -> None:
    """The broker's permissions are written on the key."""
    assert code(against(venues, close(), routing_key=key)) == "invalid_command"


def test_places_that_are_not_served(venues: Mapping[str, Venue]) -> None:
    """An unknown venue or account, and whatever came through the queue of unrouted commands."""
    assert code(against(venues, close(venue="nowhere"))) == "unknown_venue"
    assert code(against(venues, close(), venue=None)) == "unknown_venue"
    assert code(against(venues, close(account="nobody"))) == "unknown_account"


@pytest.mark.parametrize(
    ("ahead_us", "expected"),
    [
        (300 * S, None),
        (300 * S + 1, "invalid_command"),
        (10**15, "invalid_command"),
        (1, None),
        (0, "expired"),
        (-1, "expired"),
        (-(10**15), "expired"),
    ],
)
def test_deadlines(venues: Mapping[str, Venue], ahead_us: int, expected: str | None) -> None:
    """Not too far ahead, and not reached yet."""
    assert code(against(venues, close(not_after=to_time(NOW_US + ahead_us)))) == expected


@pytest.mark.parametrize(
    ("ahead_us", "expected"), [(FUTURE_US, None), (FUTURE_US + 1, "invalid_command"), (-(10**12), None)]
)
def test_issued_in_the_future(venues: Mapping[str, Venue], ahead_us: int, expected: str | None) -> None:
    """A sender whose clock is more than two seconds ahead has a wrong deadline too."""
    assert code(against(venues, close(issued_at=to_time(NOW_US + ahead_us)))) == expected


CONTRADICTIONS = [
    (close(price="1"), "invalid_command"),
    (close(order_type="limit"), "invalid_command"),
    (close(order_type="stop"), "invalid_command"),
    (cancel(), "invalid_command"),
    (cancel(order_id="1", target_command_id="c0"), "invalid_command"),
]


@pytest.mark.parametrize(("command", "expected"), CONTRADICTIONS)
def test_fields_that_contradict_each_other(venues: Mapping[str, Venue], command: Command, expected: str) -> None:
    """The contract's rules across fields, the same at every venue; told even when it has expired meanwhile."""
    assert code(against(venues, command)) == expected
    late = type(command)(**{**{f: getattr(command, f) for f in command.__struct_fields__}, "not_after": to_time(1)})
    assert code(against(venues, late)) == expected


@pytest.mark.parametrize("kind", [CloseAll, CancelAll])
def test_whole_accounts_are_answered(venues: Mapping[str, Venue], kind: type[CloseAll] | type[CancelAll]) -> None:
    """Offered or not, the answer is ours and no crash."""
    command = kind(command_id="a1", venue="acme", account="main", not_after=to_time(NOW_US + S))
    assert code(against(venues, command)) in {None, "unsupported"}


SENDERS = {
    "alpha": SenderPolicy(accounts=("acme/main",), commands=("close",), reply_to=r"^alpha\."),
    "beta": SenderPolicy(accounts=("acme/main", "acme/other")),
}


def test_without_senders_everyone_may_do_everything() -> None:
    """Authorisation begins with the first sender that is listed."""
    assert unauthorized(delivery(sender="anyone", reply_to="any.where"), close(account="any"), {}) is None


@pytest.mark.parametrize(
    ("command", "fields", "allowed"),
    [
        (close(), {}, True),
        (close(), {"reply_to": ""}, True),
        (close(), {"sender": "nobody"}, False),
        (close(), {"sender": ""}, False),
        (close(account="other"), {}, False),
        (close(venue="main", account="acme"), {}, False),
        (cancel(order_id="1"), {}, False),
        (close(), {"reply_to": "beta.results"}, False),
        (close(), {"reply_to": "x.alpha.results"}, False),
        (cancel(order_id="1"), {"sender": "beta"}, True),
        (close(account="other"), {"sender": "beta", "reply_to": "alpha.results"}, True),
    ],
)
def test_who_may_do_what(command: Command, fields: dict[str, str], allowed: bool) -> None:
    """Account, action and reply queue must all be the sender's."""
    found = unauthorized(delivery(command, **fields), command, SENDERS)
    assert (found is None) == allowed, found


def test_a_sender_is_answered_only_where_it_may_be() -> None:
    """Nobody makes the router write into another's queue."""
    assert may_reply(delivery(reply_to="alpha.results"), SENDERS)
    assert not may_reply(delivery(reply_to="beta.results"), SENDERS)
    assert may_reply(delivery(reply_to="any.where"), {})


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [("", JSON), (JSON, JSON), (MSGPACK, MSGPACK), ("Application/MsgPack; v=1", MSGPACK), ("text/xml", JSON)],
)
def test_an_answer_speaks_the_commands_language(content_type: str, expected: str) -> None:
    """Its codec, and the correlation id: the command's, else its `command_id`, else none."""
    assert delivery(content_type=content_type).reply("c1").content_type == expected
    assert delivery().reply("c1").correlation_id == "c"
    assert delivery(correlation_id="").reply("c1").correlation_id == "c1"
    assert delivery(correlation_id="").reply(None).correlation_id == ""
