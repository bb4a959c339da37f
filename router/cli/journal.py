"""`order-router journal`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from router.cli.process import AsJson, ConfigFile, configured, run

if TYPE_CHECKING:
    from router.config import Config
    from router.journal import Timeline, Unreadable
    from router.records.command import CommandRecord

app = typer.Typer(
    help="What the journal knows: the story of one command, what is open, an operator's verdict.", no_args_is_help=True
)

CommandId = Annotated[str, typer.Argument(metavar="ID", help="The command_id.")]
Sender = Annotated[
    str | None, typer.Option("--sender", help="Whose command; needed where several senders used the id.")
]
StateName = Literal["open", "in_doubt", "unresolved", "final"]


@app.command()
def show(command_id: CommandId, sender: Sender = None, config: ConfigFile = None, json: AsJson = False) -> None:
    """Tell everything that happened to a command, in time order."""
    from router.cli.formatting import shown

    stories = run(_stories(configured(config), sender, command_id))
    if json:
        import msgspec

        typer.echo(msgspec.json.encode(stories).decode())
    for story in () if json else stories:
        typer.echo("\n".join(map(shown, _lines(story))))


@app.command("list")
def list_(
    state: Annotated[StateName | None, typer.Option("--state", help="Only commands in this state.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many at most.")] = 50,
    config: ConfigFile = None,
    json: AsJson = False,
) -> None:
    """List commands, those without a settled result first."""
    from router.cli.formatting import shown
    from router.records.command import CommandRecord

    records = run(_listing(configured(config), state, limit))
    if json:
        import msgspec

        typer.echo(msgspec.json.encode(records).decode())
        return
    for record in records:
        typer.echo(shown(_summary(record) if isinstance(record, CommandRecord) else _unreadable(record)))
    if not records:
        typer.echo("no commands", err=True)


@app.command()
def resolve(
    command_id: CommandId,
    outcome: Annotated[
        Literal["accepted", "done", "rejected"], typer.Option("--outcome", help="What really happened at the venue.")
    ],
    message: Annotated[str, typer.Option("--message", help="How you know; the sender reads it after `rejected`.")],
    order_id: Annotated[str | None, typer.Option("--order-id", help="The order that the command placed.")] = None,
    sender: Sender = None,
    config: ConfigFile = None,
) -> None:
    """Settle a command that is in doubt or unresolved by your own verdict.

    Its sender gets one more, final result, published by the next worker that looks into the outbox.
    """
    from router.cli.formatting import shown

    record = run(_resolve(configured(config), sender, command_id, outcome, message, order_id))
    typer.echo(f"{shown(_summary(record))}\nstored as seq {record.seq}; a running worker publishes it within seconds")


@app.command()
def adopt(config: ConfigFile = None) -> None:
    """Declare that this journal takes the place of the one that was used on this broker before.

    For a journal that is lost for good. Closes are then looked up at their venues before they are sent, until all that
    the lost journal may have sent has expired. Stop every worker first.
    """
    journal_id = run(_adopt(configured(config)))
    typer.echo(f"journal {journal_id} is the right one from now on; start the workers again")


async def _adopt(config: "Config") -> str:
    import secrets

    from router.broker import MarkStream, Names, close, connect, declare, open_channel
    from router.journal import open_journal
    from router.ports import Mark

    async with await open_journal(config.journal.url) as journal:
        if config.broker.declare:
            connection = await connect(config.broker, "adopt")
            try:
                await declare(await open_channel(connection), Names(config.broker.prefix), ())
            finally:
                await close(connection)
        witness = MarkStream(config.broker)
        try:
            await witness.write(Mark(journal.journal_id, secrets.token_hex(12), adopts=True))
        finally:
            await witness.close()
        return journal.journal_id


async def _stories(config: "Config", sender: str | None, command_id: str) -> "Sequence[Timeline]":
    from router.errors import UserError
    from router.journal import open_journal

    async with await open_journal(config.journal.url) as journal:
        stories = await journal.story(sender, command_id)
    if not stories:
        raise UserError(f"the journal knows no command {command_id!r}" + (f" of sender {sender!r}" if sender else ""))
    return stories


async def _listing(config: "Config", state: StateName | None, limit: int) -> "Sequence[CommandRecord | Unreadable]":
    from router.journal import open_journal

    async with await open_journal(config.journal.url) as journal:
        return await journal.listing(state, limit)


async def _resolve(
    config: "Config", sender: str | None, command_id: str, outcome: str, message: str, order_id: str | None
) -> "CommandRecord":
    from router.commands.answers import settled
    from router.errors import UserError
    from router.journal import open_journal
    from router.venue_protocol import Accepted, Done, Refused

    verdicts: dict[str, Accepted | Done | Refused] = {
        "accepted": Accepted(order_id=order_id),
        "done": Done(order_id=order_id),
        "rejected": Refused(code="venue_unavailable", message=f"an operator's verdict: {message}"),
    }
    async with await open_journal(config.journal.url) as journal:
        found = await journal.story(sender, command_id)
        if len(found) > 1:
            raise UserError(f"several senders used {command_id!r}; name one with --sender")
        record = found[0].record if found else None
        if record is None or record.state not in ("in_doubt", "unresolved"):
            raise UserError(
                f"{command_id!r} is not in doubt" if found else f"the journal knows no command {command_id!r}"
            )
        record, result = settled(record, verdicts[outcome], "router", journal.latest_us())
        saved = await journal.save(record, result=result)
        if saved is None:
            raise UserError(f"{command_id!r} was settled by somebody else just now; look again")
        journal.note(record.sender, command_id, "resolved", f"by an operator: {outcome}, {message}")
        return saved.record


def _lines(story: "Timeline") -> list[str]:
    from router.clock import to_time

    lines = [f"{story.command_id}  of sender {story.sender or '(none)'}"]
    if story.record is not None:
        lines.append(f"  {_summary(story.record)}")
    lines += [
        f"  {to_time(entry.at_us):%Y-%m-%d %H:%M:%S.%f}  {entry.event:14}  {entry.detail}" for entry in story.entries
    ]
    return lines


def _unreadable(row: "Unreadable") -> str:
    return f"{row.state:10}  {row.command_id}  {row.venue}  written by a newer version, or damaged: it cannot be read"


def _summary(record: "CommandRecord") -> str:
    from router.clock import to_time
    from router.records.command import action

    command = record.command
    parts = [f"{record.state:10}", record.command_id, f"{action(command)} {command.venue}/{command.account}"]
    parts.append(f"received {to_time(record.received_us):%Y-%m-%d %H:%M:%S}")
    parts.append(f"attempts {record.attempts}")
    if record.order_id:
        parts.append(f"order {record.order_id}")
    if record.next_us is not None:
        parts.append(f"next: {record.step} at {to_time(record.next_us):%H:%M:%S}")
    if record.message or record.venue_code:
        parts.append(f"last: {' '.join(part for part in (record.venue_code, record.message) if part)}")
    return "  ".join(parts)
