"""Commands for a person to read: those without a settled result first, then the latest of the others."""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from router.errors import UnreadableRow
from router.journal.operations.commands import decode_record
from router.journal.operations.statements import Params, Steps
from router.records.command import CommandRecord, State
from schemas.results import Outcome

_LISTED = "select command_id, sender, venue, state, job from commands"
# As the partial indexes are written, so that they are used.
_LIVE = "state in ('open', 'in_doubt', 'unresolved')"
_SETTLED = "state in ('final', 'given_up') and state = 'final'"
ANY: Final = 50
"""So many are listed unless somebody asks for more."""


class Filter(Struct, frozen=True, kw_only=True):
    """Which commands are meant; what is `None` does not matter. `since_us`: received since then."""

    state: State | None = None
    outcome: Outcome | None = None
    venue: str | None = None
    account: str | None = None
    sender: str | None = None
    since_us: int | None = None

    def conditions(self) -> tuple[str, Params]:
        """Return them for a statement, numbered from `$2`, and their values."""
        texts, values = [], []
        # A stored command is JSON without spaces, and a quote within a string is escaped there.
        outcome = None if self.outcome is None else f'%"outcome":"{self.outcome}"%'
        for text, value in (
            ("venue = $", self.venue),
            ("account = $", self.account),
            ("sender = $", self.sender),
            ("received_us >= $", self.since_us),
            ("job like $", outcome),
        ):
            if value is not None:
                values.append(value)
                texts.append(f" and {text}{len(values) + 1}")
        return "".join(texts), tuple(values)


class Unreadable(Struct, frozen=True, kw_only=True):
    """A row that this version cannot read, as far as its columns tell."""

    sender: str
    command_id: str
    venue: str
    state: State


def listing(wanted: Filter, limit: int) -> Steps[Sequence[CommandRecord | Unreadable]]:
    """Return commands for a person: what has no settled result first, oldest first, then the latest of the rest."""
    found: list[CommandRecord | Unreadable] = []
    also, values = wanted.conditions()
    if wanted.state != "final":
        live = _LIVE if wanted.state is None else f"{_LIVE} and state = '{wanted.state}'"
        rows = yield f"{_LISTED} where {live}{also} order by received_us limit $1", (limit, *values)
        found = [_listed(*row) for row in rows]
    if wanted.state in {None, "final"} and len(found) < limit:
        settled = f"{_LISTED} where {_SETTLED}{also} order by updated_us desc limit $1"
        found += [_listed(*row) for row in (yield settled, (limit - len(found), *values))]
    # A sender's own text may look like an outcome.
    return [row for row in found if wanted.outcome is None or getattr(row, "outcome", None) == wanted.outcome]


def _listed(command_id: str, sender: str, venue: str, state: State, text: str) -> CommandRecord | Unreadable:
    try:
        return decode_record(text, command_id)
    except UnreadableRow:
        return Unreadable(sender=sender, command_id=command_id, venue=venue, state=state)
