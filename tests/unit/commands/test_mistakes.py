"""What a sender hears of its mistakes, held against a file: field, what was expected, in the sender's terms.

`python -m tests.unit.commands.test_mistakes` writes the file anew; read it before you commit it.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from router import venues
from router.access.configured import Account, Venue
from router.access.limiter import Limiter
from router.commands.intake import fresh_record
from router.commands.plan import Planner
from router.venue_protocol import SignedRequest
from schemas.codec import MSGPACK, Undecodable, decode_command
from tests.unit.commands.test_intake import delivery
from tests.unit.commands.test_plan import Epochs
from tests.unit.commands.virtual_time import BEGAN_US, VirtualClock, VirtualLoop

FILE = Path(__file__).with_name("mistakes.json")
AT = "2026-09-21T14:13:50Z"
COMMON = {"command_id": "c1", "account": "main", "not_after": AT}
CLOSE = {
    "type": "close", "venue": "gmo_coin", "symbol": "BTC_JPY", "position_id": "1000342", "side": "buy", "size": "3.44",
    **COMMON,
}  # fmt: skip
CANCEL = {"type": "cancel", "venue": "btcturk", "order_id": "123456789", **COMMON}
NAMI = {"type": "cancel", "venue": "nami", "symbol": "BTCUSDT", "order_id": "435372", **COMMON}
COINBASE = {"type": "close", "venue": "coinbase", "symbol": "BIT-28JUL23-CDE", "size": "3", **COMMON}


def without(command: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return a command with fields left out."""
    return {name: value for name, value in command.items() if name not in names}


def text(command: object) -> str:
    """Return a body."""
    return json.dumps(command)


MISTAKES: dict[str, tuple[str, dict[str, Any]]] = {
    "an upper-case side": (text({**CLOSE, "side": "BUY"}), {}),
    "an upper-case type": (text({**CLOSE, "type": "CLOSE"}), {}),
    "a type of another API": (text({**CLOSE, "type": "close_position"}), {}),
    "no type": (text(without(CLOSE, "type")), {}),
    "a type that is null": (text({**CLOSE, "type": None}), {}),
    "no command_id": (text(without(CLOSE, "command_id")), {}),
    "an empty command_id": (text({**CLOSE, "command_id": ""}), {}),
    "a command_id with a space": (text({**CLOSE, "command_id": "close 1"}), {}),
    "a command_id that is a number": (text({**CLOSE, "command_id": 17}), {}),
    "a command_id of 65 characters": (text({**CLOSE, "command_id": "a" * 65}), {}),
    "no venue": (text(without(CLOSE, "venue")), {}),
    "a venue in capitals": (text({**CLOSE, "venue": "GMO_COIN"}), {}),
    "a venue that nobody serves": (text({**CLOSE, "venue": "kraken"}), {"routing_key": "kraken.main.close"}),
    "an account that is not there": (text({**CLOSE, "account": "other"}), {"routing_key": "gmo_coin.other.close"}),
    "no account": (text(without(CLOSE, "account")), {}),
    "no symbol": (text(without(CLOSE, "symbol")), {}),
    "a symbol with a space": (text({**CLOSE, "symbol": "BTC JPY"}), {}),
    "no not_after": (text(without(CLOSE, "not_after")), {}),
    "a naive time": (text({**CLOSE, "not_after": "2026-09-21T14:13:50"}), {}),
    "an epoch time": (text({**CLOSE, "not_after": 1790000030}), {}),
    "an epoch time in a string": (text({**CLOSE, "not_after": "1790000030"}), {}),
    "a time with a month of 13": (text({**CLOSE, "not_after": "2026-13-21T14:13:50Z"}), {}),
    "a deadline that has passed": (text({**CLOSE, "not_after": "2026-09-21T14:13:00Z"}), {}),
    "a deadline an hour ahead": (text({**CLOSE, "not_after": "2026-09-21T15:13:50Z"}), {}),
    "decided in the future": (text({**CLOSE, "issued_at": "2026-09-21T14:13:40Z"}), {}),
    "a size with a comma": (text({**CLOSE, "size": "3,44"}), {}),
    "a size that is a number": (text({**CLOSE, "size": 3.44}), {}),
    "a size of zero": (text({**CLOSE, "size": "0"}), {}),
    "a negative size": (text({**CLOSE, "size": "-3.44"}), {}),
    "a size with an exponent": (text({**CLOSE, "size": "1e3"}), {}),
    "a position_id that is a number": (text({**CLOSE, "position_id": 1000342}), {}),
    "a position_id of letters": (text({**CLOSE, "position_id": "abc"}), {}),
    "GMO Coin: no position_id": (text(without(CLOSE, "position_id")), {}),
    "GMO Coin: only a symbol": (text(without(CLOSE, "position_id", "side", "size")), {}),
    "a market order with a price": (text({**CLOSE, "price": "85201"}), {}),
    "a limit order without a price": (text({**CLOSE, "order_type": "limit"}), {}),
    "an order type of another API": (text({**CLOSE, "order_type": "stop_limit"}), {}),
    "a time in force in capitals": (text({**CLOSE, "time_in_force": "GTC"}), {}),
    "post_only without a limit": (text({**CLOSE, "time_in_force": "post_only"}), {}),
    "a field with a typing error": (text({**CLOSE, "postion_id": "1"}), {}),
    "a field of another API": (text({**CLOSE, "leverage": 3}), {}),
    "dry_run in a string": (text({**CLOSE, "dry_run": "true"}), {}),
    "params that are a list": (text({**CLOSE, "params": []}), {}),
    "params that the venue does not know": (text({**CLOSE, "params": {"reduceOnly": True}}), {}),
    "params of a wrong type": (text({**NAMI, "params": {"allow_notification": "yes"}}), {}),
    "a cancel without any id": (text(without(CANCEL, "order_id")), {}),
    "a cancel with both ids": (text({**CANCEL, "target_command_id": "c0"}), {}),
    "a cancel of an order_id of letters": (text({**CANCEL, "order_id": "abc"}), {}),
    "a cancel of a number": (text({**CANCEL, "order_id": 123456789}), {}),
    "Nami: a cancel without a symbol": (text(without(NAMI, "symbol")), {}),
    "Nami: a close": (text({**NAMI, "type": "close", "order_id": None}), {}),
    "Nami has no close": (text({**without(NAMI, "order_id"), "type": "close"}), {}),
    "BtcTurk has no close": (text({**without(CANCEL, "order_id"), "type": "close", "symbol": "BTCTRY"}), {}),
    "Coinbase: a side": (text({**COINBASE, "side": "sell"}), {}),
    "Coinbase: half a contract": (text({**COINBASE, "size": "1.5"}), {}),
    "another routing key": (text(CLOSE), {"routing_key": "gmo_coin.main.cancel"}),
    "a list of commands": (text([CLOSE]), {}),
    "a body in quotes": (text(text(CLOSE)), {}),
    "an empty body": ("", {}),
    "a body that ends too early": (text(CLOSE)[:-5], {}),
    "quotes of another language": (text(CLOSE).replace('"', "'"), {}),
    "a comma too much": (text(CLOSE)[:-1] + ",}", {}),
    "a field given twice": (text(CLOSE)[:-1] + ',"size":"1"}', {}),
    "plain text": (text(CLOSE), {"content_type": "text/plain"}),
    "JSON under the name of MessagePack": (text(CLOSE), {"content_type": MSGPACK}),
    "a compressed body": (text(CLOSE), {"content_encoding": "gzip"}),
    "five mistakes at once": (
        text({**without(CLOSE, "venue"), "side": "LONG", "size": 1, "prize": "5", "not_after": "soon"}), {}
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def planner() -> Iterator[Planner]:
    """A planner of the four venues, one account each."""
    loop = VirtualLoop()
    yield new_planner(VirtualClock(loop))
    loop.close()


def new_planner(clock: VirtualClock) -> Planner:
    """Return a planner of the four venues, one account each."""
    made = {}
    for name in venues.names():
        kind = venues.adapter_type(name)
        options = msgspec.convert({}, kind.options_type)
        accounts = {"main": Account("main", lambda request, _: SignedRequest(request.method, "", {}, b""))}
        made[name] = Venue(
            name=name, adapter=kind(options), options=options, accounts=accounts, limiter=Limiter((), clock)
        )
    return Planner(made, Epochs(), clock, max_horizon_s=300)


def heard(planner: Planner, body: str, properties: dict[str, Any]) -> dict[str, str]:
    """Return code and message of the refusal."""
    found = refusal(planner, body, properties)
    assert found is not None, "nothing is wrong with it"
    return found


def refusal(planner: Planner, body: str, properties: dict[str, Any]) -> dict[str, str] | None:
    """Return code and message of the refusal, if there is one."""
    try:
        command = decode_command(body.encode(), properties.get("content_type"), properties.get("content_encoding"))
    except Undecodable as error:
        return {"code": "invalid_command", "message": str(error)}
    key = f"{command.venue}.{command.account}.{command.__struct_config__.tag}"
    served = command.venue if command.venue in venues.names() else None
    came = msgspec.structs.replace(delivery(), routing_key=properties.get("routing_key", key), venue=served)
    plan = planner.plan(came, fresh_record("alpha", command, BEGAN_US))
    reason = plan.result.reason if plan.result is not None else None
    return None if reason is None else {"code": reason.code, "message": reason.message}


def test_the_file_holds_every_mistake() -> None:
    """Fifty at the least; what is not in the file was not read."""
    assert list(json.loads(FILE.read_text())) == list(MISTAKES)
    assert len(MISTAKES) >= 50


@pytest.mark.parametrize("mistake", list(MISTAKES))
def test_a_mistake_is_told_in_the_senders_words(planner: Planner, mistake: str) -> None:
    """Exactly as the file says; and no pattern, no type name of ours, no word of a library."""
    found = heard(planner, *MISTAKES[mistake])
    assert found == json.loads(FILE.read_text())[mistake]
    message = found["message"]
    assert re.match(r"[a-zA-Z_.]+(, [a-z_]+)*: |[a-z_ ]+: ", message), "it begins with the field"
    assert not re.search(r"regex|\^|\$|\bstr\b|\bdatetime\b|\bint\b|dict|msgspec|Literal|None|`", message)
    assert len(message) <= 500


if __name__ == "__main__":
    planned = new_planner(VirtualClock(VirtualLoop()))
    told = {mistake: heard(planned, *sent) for mistake, sent in MISTAKES.items()}
    FILE.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n")
