"""One command on its way: what is known of it, from admission to its last result.

A `CommandRecord` is a frozen snapshot. The core computes the next one with `msgspec.structs.replace`, and the journal
stores it behind a compare-and-set on `version`: whoever read an older version has lost and must not act on it. That one
fence serves every writer: the worker that got the delivery, a pod that took the command up after a crash, an operator,
a late event.
"""

from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from router.clock import to_us
from schemas.commands import Cancel, Command
from schemas.results import OrderState, Outcome, ReasonCode, Result

State = Literal["open", "in_doubt", "final", "unresolved"]
"""open: no result yet. in_doubt: answered so, a final result follows. unresolved: given up, late evidence settles."""

Step = Literal["send", "look", "await", "find"]
"""What is due at `next_us`: dispatch again; settle a doubt; watch a canceled order end; find the target's order id."""

Kind = Literal["act", "look", "own"]
"""What a due command needs a place for: a request that acts, reads of its account, or nothing at the venue."""


class Reply(Struct, frozen=True, kw_only=True):
    """Where one delivery is answered. An empty `reply_to` means the results queue."""

    reply_to: str = ""
    correlation_id: str
    content_type: str
    traceparent: str = ""


class Moment(Struct, frozen=True):
    """When a statement ran. `now_us`: by the journal's clock. `asked_us`: by our boot clock, before it was sent."""

    asked_us: int
    now_us: int


class CommandRecord(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A command and what became of it so far. Times are microseconds since 1970, UTC, by the journal's clock.

    `received_us` alone is by the clock of whoever received it: it is for people, and part of the rows' keys.
    `admitted_us` is when the row was made, or when it was last proven that nothing was sent for it.

    `tries` counts every attempt begun, the latest at `began_us` in the pod `began_by`; `attempts` those that may have
    reached the venue's matching side. An attempt that is not over is nothing but this: the command says so.
    `tried` counts the tries that each reason has cost. `sent_ms` is the earliest moment, by the venue's clock, at which
    a request may have left. `outcome` is what the last result said.
    `position` names what only one close may touch at a time; it is held until the last result is final and settled.
    `unanswered`: a send that may have arrived got no answer. `seen`: a look saw something that may be it.
    `rounds` counts the looks, `looks` those after quarantine, `absences` the latest of these that saw nothing.
    `code`, `venue_code` and `message` are the last cause.
    `next_us` is never empty while a result is owed: whoever finds it past may take the command up.
    """

    sender: str
    command_id: str
    command: Command
    client_order_id: str
    received_us: int
    position: str | None = None
    state: State = "open"
    version: int = 0
    seq: int = 0
    step: Step = "send"
    next_us: int | None = None
    tries: int = 0
    attempts: int = 0
    began_us: int | None = None
    began_by: str = ""
    first_sent_us: int | None = None
    last_sent_us: int | None = None
    order_id: str | None = None
    order: OrderState | None = None
    code: ReasonCode | None = None
    venue_code: str | None = None
    message: str = ""
    unanswered: bool = False
    seen: bool = False
    rounds: int = 0
    looks: int = 0
    absences: int = 0
    doubt_us: int | None = None
    admitted_us: int = 0
    sent_ms: int | None = None
    tried: dict[str, int] = {}
    outcome: Outcome | None = None


ABANDONED = "Abandoned"
"""The outcome of an attempt whose process did not live to tell."""


class AttemptEnd(Struct, frozen=True, kw_only=True):
    """What one attempt came to. `sent_us` is `None` when no byte left, `status` (of HTTP) when no answer came.

    `pod` made it; left out, it was this process.
    """

    number: int
    began_us: int
    at_us: int
    outcome: str
    venue_code: str | None = None
    message: str = ""
    sent_us: int | None = None
    endpoint: str = ""
    status: int | None = None
    pod: str = ""


class Outgoing(Struct, frozen=True, kw_only=True):
    """One result for one reply address, on disk until the broker has confirmed it."""

    outbox_id: str
    sender: str
    command_id: str
    reply: Reply
    result: Result
    waits: bool = False
    """An earlier result of the command is not confirmed yet; this one must not overtake it."""


class Saved(Struct, frozen=True):
    """A command as it is stored now, what its senders are owed, and when that was."""

    record: CommandRecord
    outgoing: tuple[Outgoing, ...]
    at: Moment


class Admitted(Struct, frozen=True):
    """The command is new and its row is stored. `outgoing` is set when a refusal was stored with it."""

    record: CommandRecord
    outgoing: tuple[Outgoing, ...] = ()
    at: Moment | None = None


class Repeat(Struct, frozen=True):
    """The same command was answered before: repeat this result, send nothing."""

    result: Result


class Joined(Struct, frozen=True):
    """The same command is open: this delivery's reply address is on record and will be answered with it."""


class Reused(Struct, frozen=True):
    """The id belongs to a command with other fields."""


class Busy(Struct, frozen=True):
    """Another close of the position has no final, settled result. Nothing was stored; admit again as a refusal."""


class TooLate(Struct, frozen=True):
    """A cancel that targeted this id gave up waiting for it. Nothing was stored; admit again as a refusal."""


Admission = Admitted | Repeat | Joined | Reused | Busy | TooLate


def kind(record: CommandRecord, now_us: int) -> Kind:
    """Return what a due command needs a place for."""
    if record.step in {"look", "await"}:
        return "look"
    late = not record.attempts and now_us >= to_us(record.command.not_after)
    return "own" if record.step == "find" or late else "act"


def effective(record: CommandRecord) -> Command:
    """Return the command with what became known since: the order that a cancel's target placed."""
    command = record.command
    if isinstance(command, Cancel) and command.order_id is None and record.order_id is not None:
        return replace(command, order_id=record.order_id)
    return command


def action(command: Command) -> str:
    """Return the command's `type` on the wire."""
    return str(command.__struct_config__.tag)
