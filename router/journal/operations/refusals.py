"""Refusals that are stored under no command, for a day: so that somebody who asks can be told."""

from collections.abc import Sequence
from typing import Any, Final

from msgspec import Struct

from router.journal.operations.statements import Many, Params, Statement, Steps, optional, storable
from router.records.command import Reply
from router.telemetry.logs import POD

KEPT_US: Final = 24 * 3600 * 1_000_000
TEXT: Final = 300

_PUT: Final = Many(
    """insert into refusals (at_us, sender, command_id, code, message, reply_to, correlation_id, routing_key, pod)
    select at_us, sender, command_id, code, message, reply_to, correlation_id, routing_key, pod
    from given where at_us is not null""",
    "at_us bigint, sender text, command_id text, code text, message text, reply_to text, correlation_id text, "
    "routing_key text, pod text",
)
_LATEST = """select at_us, sender, command_id, code, message, reply_to, correlation_id, routing_key, pod
    from refusals where at_us >= $1 order by at_us desc limit $2"""
_LATEST_OF = """select at_us, sender, command_id, code, message, reply_to, correlation_id, routing_key, pod
    from refusals where at_us >= $1 and sender = $3 order by at_us desc limit $2"""
_OF_COMMAND = """select at_us, sender, command_id, code, message, reply_to, correlation_id, routing_key, pod
    from refusals where command_id = $1 order by at_us"""
_RETIRE = """delete from refusals where at_us < now_us() - $1 returning at_us"""


class Unstored(Struct, frozen=True, kw_only=True):
    """One refusal. `at_us` is microseconds since 1970, by the clock of the pod."""

    at_us: int
    sender: str
    command_id: str | None
    code: str
    message: str
    reply_to: str
    correlation_id: str
    routing_key: str
    pod: str


def row(at_us: int, sender: str, command_id: str | None, *, why: tuple[str, str], reply: Reply, key: str) -> Params:
    """Return a row of `put`; `why` is code and message, `key` the routing key."""
    texts = (sender, why[0], why[1], reply.reply_to, reply.correlation_id, key, POD)
    whose, code, message, reply_to, correlation_id, routing_key, pod = (storable(text[:TEXT]) for text in texts)
    return at_us, whose, optional(command_id), code, message, reply_to, correlation_id, routing_key, pod


def put(rows: Sequence[Params]) -> Statement:
    """Return the statement that stores refusals."""
    return _PUT, rows


def latest(since_us: int, limit: int, sender: str | None) -> Steps[Sequence[Unstored]]:
    """Return the refusals since then, the latest first, of one sender or of all."""
    asked = (_LATEST, (since_us, limit)) if sender is None else (_LATEST_OF, (since_us, limit, sender))
    return [_unstored(row) for row in (yield asked)]


def of_command(command_id: str, sender: str | None) -> Steps[Sequence[Unstored]]:
    """Return the refusals of one command id, the oldest first, of one sender or of all."""
    found = [_unstored(row) for row in (yield _OF_COMMAND, (command_id,))]
    return [row for row in found if sender in {None, row.sender}]


def _unstored(row: Sequence[Any]) -> Unstored:
    return Unstored(**dict(zip(Unstored.__struct_fields__, row, strict=True)))


def retire() -> Steps[int]:
    """Delete refusals older than a day."""
    return len((yield _RETIRE, (KEPT_US,)))
