"""Claim what is due, for each account as much as there is room for.

Which accounts have anything due is one look at an index; then each gets a claim of its own, so thousands of rows of one
account cost the others nothing. A claim moves a row's time ahead and leaves its version: whoever saves first has it.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from router.errors import UnreadableRow
from router.journal.operations.commands import decode_record
from router.journal.operations.listing import Unreadable
from router.journal.operations.statements import Steps
from router.records.command import CommandRecord, Kind

ASIDE_US: Final = 30_000_000
"""How long a row that this version cannot read is left to others."""

_KIND: Final = "case when kind = 'act' and own_us <= now_us() then 'own' else kind end"
_HOT = f"""select venue, account, {_KIND}, min(next_us) from commands
    where next_us is not null and next_us <= now_us() group by 1, 2, 3 order by 4"""  # noqa: S608 - our own words
# Picked first, and once: within `in (…)` PostgreSQL may run the selection again for each row.
_CLAIM = """with picked as materialized (
        select command_id, sender from commands
        where venue = $1 and account = $2 and {which} and next_us is not null and next_us <= now_us()
        order by next_us limit $3 for update skip locked)
    update commands set next_us = now_us() + $4 from picked
    where commands.command_id = picked.command_id and commands.sender = picked.sender
      and commands.next_us is not null and commands.next_us <= now_us()
    returning commands.command_id, commands.sender, venue, state, next_us, job"""
_CLAIMS: Final[Mapping[str, str]] = {
    "act": _CLAIM.format(which="kind = 'act' and (own_us is null or own_us > now_us())"),
    "look": _CLAIM.format(which="kind = 'look'"),
    "own": _CLAIM.format(which="(kind = 'own' or (kind = 'act' and own_us <= now_us()))"),
}
_ASIDE = """update commands set next_us = now_us() + $3 where command_id = $1 and sender = $2"""


def take_up(
    venues: Collection[str],
    places: Mapping[Kind, int],
    busy: Mapping[tuple[str, str, Kind], int],
    claim_us: Mapping[Kind, int],
    limit: int,
) -> Steps[tuple[Sequence[CommandRecord], Sequence[Unreadable]]]:
    """Run `router.ports.Journal.take_up`; return what cannot be read as well."""
    found: list[CommandRecord] = []
    aside: list[Unreadable] = []
    for venue, account, name, _ in (yield _HOT, ()):
        kind: Kind = "look" if name == "look" else "own" if name == "own" else "act"
        room = min(places[kind] - busy.get((venue, account, kind), 0), limit - len(found))
        if venue not in venues or room <= 0:
            continue
        for command_id, sender, _, state, next_us, text in (
            yield _CLAIMS[kind], (venue, account, room, claim_us[kind])
        ):
            try:
                found.append(replace(decode_record(text, command_id), next_us=next_us))
            except UnreadableRow:
                aside.append(Unreadable(sender=sender, command_id=command_id, venue=venue, state=state))
                yield _ASIDE, (command_id, sender, ASIDE_US)
    return found, aside
