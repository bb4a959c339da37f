"""`order-router journal`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import typer

from router.cli.process import AsJson, ConfigFile, configured, operator, run

if TYPE_CHECKING:
    from router.config import Config
    from router.journal import Filter, Timeline, Unreadable, Unstored
    from router.records.command import CommandRecord

app = typer.Typer(help="Tell stories of commands, list them, settle one by a verdict.", no_args_is_help=True)

CommandId = Annotated[str, typer.Argument(metavar="ID", help="The command_id.")]
Sender = Annotated[
    str | None,
    typer.Option("--sender", metavar="NAME", help="Whose command; needed where several used the id."),
]
Message = Annotated[
    str, typer.Option("--message", metavar="TEXT", help="How you know; the sender reads it after `rejected`.")
]
OrderId = Annotated[str | None, typer.Option("--order-id", metavar="ID", help="The order that the command placed.")]
By = Annotated[
    str | None, typer.Option("--by", metavar="NAME", help="Whose verdict it is; default: the user of this system.")
]
StateName = Literal["open", "in_doubt", "unresolved", "final"]
Outcome = Literal["accepted", "done", "rejected", "in_doubt"]
Since = Annotated[
    str | None,
    typer.Option("--since", metavar="WHEN", help="Only what came since: 10m, 2h, 1d ago, or an RFC 3339 time."),
]
Limit = Annotated[int, typer.Option("--limit", metavar="N", min=1, max=10_000, help="How many at most.")]


@app.command()
def show(command_id: CommandId, sender: Sender = None, config: ConfigFile = None, json: AsJson = False) -> None:
    """Tell everything that happened to a command, in time order.

    Seconds since it was received, in which process, every request with the venue's own words, the answers and where
    they went, the order's events. Refusals that were answered and not stored are told for a day.
    """
    from router.cli.timeline import print_timelines

    print_timelines(run(_stories(configured(config), sender, command_id)), json=json)


@app.command("list")
def list_(
    *,
    state: Annotated[StateName | None, typer.Option("--state", help="Only commands in this state.")] = None,
    outcome: Annotated[Outcome | None, typer.Option("--outcome", help="Only commands last answered so.")] = None,
    venue: Annotated[str | None, typer.Option("--venue", metavar="NAME", help="Only this venue's.")] = None,
    account: Annotated[str | None, typer.Option("--account", metavar="NAME", help="Only this account's.")] = None,
    sender: Annotated[str | None, typer.Option("--sender", metavar="NAME", help="Only this sender's.")] = None,
    since: Since = None,
    limit: Limit = 50,
    config: ConfigFile = None,
    json: AsJson = False,
) -> None:
    """List commands, those without a settled result first."""
    from router.cli.output import since as read_since
    from router.cli.timeline import print_listing
    from router.journal import Filter

    wanted = Filter(
        state=state, outcome=outcome, venue=venue, account=account, sender=sender, since_us=read_since(since)
    )
    records = run(_listing(configured(config), wanted, limit))
    print_listing(records, json=json)
    if not records:
        typer.echo("no commands", err=True)


@app.command()
def refusals(
    sender: Annotated[str | None, typer.Option("--sender", metavar="NAME", help="Only this sender's.")] = None,
    since: Since = None,
    limit: Limit = 50,
    config: ConfigFile = None,
    json: AsJson = False,
) -> None:
    """List refusals that are stored under no command, latest first.

    A sender that is not allowed, an id that was used before, a body that cannot be read: they are kept for a day.
    """
    from router.cli.output import since as read_since
    from router.cli.timeline import print_refusals

    rows = run(_refusals(configured(config), read_since(since), limit, sender))
    print_refusals(rows, json=json)
    if not rows:
        typer.echo("no refusals", err=True)


@app.command()
def resolve(
    command_id: CommandId,
    outcome: Annotated[
        Literal["accepted", "done", "rejected"], typer.Option("--outcome", help="What really happened at the venue.")
    ],
    message: Annotated[
        str, typer.Option("--message", metavar="TEXT", help="How you know; the sender reads it after `rejected`.")
    ],
    order_id: Annotated[
        str | None, typer.Option("--order-id", metavar="ID", help="The order that the command placed.")
    ] = None,
    by: Annotated[
        str | None, typer.Option("--by", metavar="NAME", help="Whose verdict it is; default: the system's user.")
    ] = None,
    sender: Sender = None,
    config: ConfigFile = None,
) -> None:
    """Settle a command in doubt, or unresolved, by your own verdict.

    Its sender gets one more, final result, published by the next worker that looks into the outbox.
    """
    from router.cli.output import lines
    from router.cli.timeline import summary

    verdict = OperatorVerdict(outcome, message, order_id, by or operator())
    record = run(_resolve(configured(config), sender, command_id, verdict))
    lines(summary(record), f"stored as seq {record.seq}, by {verdict.by}; a running worker publishes it within seconds")


@app.command()
def adopt(config: ConfigFile = None) -> None:
    """Declare that this journal takes the place of a lost one.

    For when the journal that was used on this broker before is lost for good. Closes are then looked up at their venues
    before they are sent, until all that the lost journal may have sent has expired. Stop every worker first.
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


async def _listing(config: "Config", wanted: "Filter", limit: int) -> "Sequence[CommandRecord | Unreadable]":
    from router.journal import open_journal

    async with await open_journal(config.journal.url) as journal:
        return await journal.listing(wanted, limit)


async def _refusals(config: "Config", since_us: int | None, limit: int, sender: str | None) -> "Sequence[Unstored]":
    from router.journal import open_journal

    async with await open_journal(config.journal.url) as journal:
        return await journal.refusals(since_us or 0, limit, sender)


class OperatorVerdict(NamedTuple):
    """What an operator says that a command came to, how that is known, and who says so."""

    outcome: Literal["accepted", "done", "rejected"]
    message: str
    order_id: str | None
    by: str


async def _resolve(config: "Config", sender: str | None, command_id: str, verdict: OperatorVerdict) -> "CommandRecord":
    from router.commands.answers import settled
    from router.errors import UserError
    from router.journal import open_journal
    from router.venue_protocol import Accepted, Done, Refused

    verdicts: dict[str, Accepted | Done | Refused] = {
        "accepted": Accepted(order_id=verdict.order_id),
        "done": Done(order_id=verdict.order_id),
        "rejected": Refused(code="venue_unavailable", message=f"an operator's verdict: {verdict.message}"),
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
        record, result = settled(record, verdicts[verdict.outcome], "router", journal.latest_us())
        saved = await journal.save(record, result=result)
        if saved is None:
            raise UserError(f"{command_id!r} was settled by somebody else just now; look again")
        journal.note(record.sender, command_id, "resolved", f"by {verdict.by}: {verdict.outcome}, {verdict.message}")
        return saved.record
