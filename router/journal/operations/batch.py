"""Many operations in one transaction: what is ordinary of them in one statement each kind, the rest one by one.

The ordinary life of a command is three writes: it is admitted, it is saved with its end and its result, the result is
marked as confirmed. Under load there are dozens of each at any time. Putting them to the database together is what
makes the journal cheap: on SQLite every statement gives the interpreter up and has to win it back, on PostgreSQL every
statement is a round trip.

What somebody else was faster in, and every other operation, runs by itself in the same transaction. The verdicts are
those that each would have got alone.
"""

from collections.abc import Sequence
from typing import Any, Final

from router.journal.operations import admission, commands, refusals, results, timeline
from router.journal.operations.admission import Admit
from router.journal.operations.commands import Save
from router.journal.operations.deferred import Later
from router.journal.operations.statements import Operation, Params, Steps

ROWS: Final = 256
"""At most so many operations, marks, notes or refusals go into one statement."""
_NOTHING: Final = Later([], [], [])


def run(operations: Sequence[Operation[Any]], later: Later = _NOTHING) -> Steps[list[Any]]:
    """Write the marks, run the operations, append notes and refusals; return the operations' verdicts in order."""
    for start in range(0, len(later.marks), ROWS):
        yield results.confirm(later.marks[start : start + ROWS])  # first: an operation may ask what is confirmed
    verdicts: dict[int, Any] = {}
    admits, saves = _ordinary(operations)
    if admits:
        yield from _admit(admits, verdicts)
    if saves:
        yield from _save(saves, verdicts)
    for number, operation in enumerate(operations):
        if number not in verdicts:
            verdicts[number] = yield from operation()
    for start in range(0, len(later.notes), ROWS):
        yield timeline.append(later.notes[start : start + ROWS])
    for start in range(0, len(later.refusals), ROWS):
        yield refusals.put(later.refusals[start : start + ROWS])
    return [verdicts[number] for number in range(len(operations))]


def _ordinary(operations: Sequence[Operation[Any]]) -> tuple[dict[int, Admit], dict[int, Save]]:
    """Return what can be done together: of each command the first operation."""
    admits: dict[int, Admit] = {}
    saves: dict[int, Save] = {}
    known = set()
    for number, operation in enumerate(operations):
        if not isinstance(operation, Admit | Save) or operation.key in known:
            continue
        known.add(operation.key)
        if isinstance(operation, Admit):
            admits[number] = operation
        else:
            saves[number] = operation
    return admits, saves


def _admit(admits: dict[int, Admit], verdicts: dict[int, Any]) -> Steps[None]:
    records = {number: admit.stored() for number, admit in admits.items()}
    rows = yield admission.insert([admission.columns(admit, records[number]) for number, admit in admits.items()])
    new = {(command_id, sender): now_us for command_id, sender, now_us in rows}
    owed: list[Params] = []
    for number, admit in admits.items():
        if admit.key in new:
            verdicts[number] = admitted = admit.admitted(records[number], new[admit.key])
            owed += results.put(commands.row_key(records[number]), admitted.outgoing)
    if owed:
        yield results.store(owed)


def _save(saves: dict[int, Save], verdicts: dict[int, Any]) -> Steps[None]:
    records = {number: save.stored() for number, save in saves.items()}
    rows = yield commands.update([commands.changes(record) for record in records.values()])
    waiting = {(command_id, sender): who for command_id, sender, *who in rows}
    saved = {number: save for number, save in saves.items() if save.key in waiting}
    yield from _end([save for save in saved.values() if save.end is not None])
    owed: list[Params] = []
    for number, save in saved.items():
        *who, now_us = waiting[save.key]
        outgoing = yield from save.told(*who)
        owed += results.put(commands.row_key(save.record), outgoing)
        verdicts[number] = save.saved(records[number], outgoing, now_us)
    if owed:
        yield results.store(owed)


def _end(saves: Sequence[Save]) -> Steps[None]:
    rows = [commands.ended(save.record, save.end) for save in saves if save.end is not None]
    if not rows:
        return
    new = {(command_id, sender) for command_id, sender in (yield commands.end(rows))}
    for save in saves:
        if save.key not in new:
            yield from commands.evidence(save)
