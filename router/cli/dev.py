"""`order-router dev`, and `order-router dev fault`."""

import shlex
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from router.cli.process import AsJson, ConfigFile, configured, progress, run_until_stopped

if TYPE_CHECKING:
    from router.demo.dev_server import DevServer

CLOSE: Final = "--venue gmo_coin --account main --symbol BTC_JPY --position-id 1000342 --side buy --size 0.01"
TO_TRY: Final = (
    ("Close a hundredth of a position; again and again if you like", f"send close {CLOSE}"),
    ("Lose the answer to the next close; then close once more", "dev fault gmo_coin drop on=close when=after"),
    ("What became of every command", "journal list"),
)  # fmt: skip
"""What a command shows, and the command, to which `--config` is added."""
WARNING: Final = "for development only: the venues are simulated, their keys and the broker's password are known."
ANEW: Final = "Queues and journal were kept. The venues began anew: their first positions and orders, no faults."

Dir = Annotated[Path, typer.Option("--dir", metavar="DIR", help="The folder that survives restarts.")]
BrokerPort = Annotated[int, typer.Option(min=1, max=65_535, metavar="PORT", help="RabbitMQ's port.")]
VenuesPort = Annotated[
    int, typer.Option(min=1, max=65_000, metavar="PORT", help="The first venue's port; the others follow it.")
]
HttpPort = Annotated[int, typer.Option(min=1, max=65_535, metavar="PORT", help="The port of the worker's metrics.")]

app = typer.Typer(invoke_without_command=True)


@app.callback()
def dev(
    context: typer.Context,
    directory: Dir = Path(".order-router-dev"),
    broker_port: BrokerPort = 5673,
    venues_port: VenuesPort = 9471,
    http_port: HttpPort = 9464,
    json: AsJson = False,
) -> None:
    """Run the development server until interrupted.

    Broker, simulated venues, worker and feeds, on ports that stay. One folder keeps the queues, the journal and the
    configuration over restarts. Prints what runs where and commands to try.
    """
    if context.invoked_subcommand is not None:
        return
    # Until others take over, SIGTERM is what Ctrl-C is.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with progress() as tell:
            from router.demo.dev_folder import DevFolder, overriding
            from router.demo.dev_server import Ports, dev_server

            ports = Ports(broker=broker_port, venues=venues_port, http=http_port)
            with dev_server(DevFolder(directory), ports, tell) as server:

                def say() -> None:
                    tell("")
                    _say(server, overriding(), json=json)

                tell("starting the worker")
                run_until_stopped(lambda stop: server.run(stop, say, lambda: typer.echo("stopping", err=True)))
    except KeyboardInterrupt:
        pass  # a signal is the ordinary way out, and nothing runs any more
    typer.echo("stopped", err=True)


@app.command()
def fault(
    venue: Annotated[str, typer.Argument(metavar="VENUE", help="The venue, such as gmo_coin.")],
    what: Annotated[
        str, typer.Argument(metavar="WHAT", help="What goes wrong, such as drop; with --feed: cut, stall …")
    ],
    fields: Annotated[list[str] | None, typer.Argument(metavar="FIELD=VALUE", help="on=close when=after …")] = None,
    feed: Annotated[bool, typer.Option("--feed", help="A fault of the venue's private feed.")] = False,
    config: ConfigFile = None,
) -> None:
    """Arm a fault at a simulated venue.

    `drop on=close when=after`: the next close is executed and its answer is lost. Every fault and field stands in
    router/simulator/README.md.
    """
    from router.simulator.faults import Fault
    from router.simulator.feed import FeedFault
    from schemas.wording import mistakes

    kind = FeedFault if feed else Fault
    given = {"do" if feed else "what": what} | dict(_field(kind, text) for text in fields or ())
    if wrong := mistakes(kind, given, of="a fault of a feed" if feed else "a fault"):
        raise typer.BadParameter(wrong)
    settings = configured(config)
    from router.demo.arming import arm

    arm(settings, venue, given, feed=feed)
    typer.echo(f"armed at {venue}: {' '.join([what, *(fields or ())])}")


def _field(kind: Any, text: str) -> tuple[str, Any]:
    """Read `field=value`. What is no text by its type is JSON where it can be."""
    import msgspec

    name, equals, value = text.partition("=")
    if not name or not equals:
        raise typer.BadParameter(f"{text!r} is not FIELD=VALUE")
    types = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
    try:
        return name, msgspec.convert(value, types.get(name, str))
    except msgspec.ValidationError:
        pass
    try:
        return name, msgspec.json.decode(value)
    except msgspec.DecodeError:
        return name, value


def _say(server: "DevServer", overriding: Sequence[str], *, json: bool) -> None:
    from router.cli.output import Column, as_json, lines, on_terminal, table
    from router.demo.dev_server import places

    found = places(server)
    commands = [(shows, [*_program(), *shlex.split(words), "--config", _short(Path(server.config.file))])
                for shows, words in TO_TRY]  # fmt: skip
    if json:
        as_json({"places": found, "try": [shlex.join(words) for _, words in commands]})
        return
    lines(f"warning: {WARNING}", "")
    table((Column("", whole=True), Column("")), list(found.items()))
    lines("", "The venues are simulated, and fail when told to, below /_sim/ (router/simulator/README.md).")
    if server.starts:
        lines(ANEW)
    if overriding:
        lines(f"warning: unset {', '.join(overriding)}: for the commands below it beats the file.")
    lines("", "To try in another terminal:")
    typer.echo(f"\n  cd {shlex.quote(str(Path.cwd()))}")
    for shows, words in commands:
        typer.echo(f"\n  # {shows}")
        typer.echo(_folded(words, _width()) if on_terminal() else f"  {shlex.join(words)}")
    lines("", "Ctrl-C stops everything; a second one at once.")


def _program() -> list[str]:
    """Return how this very program is called from the working directory."""
    own = Path(sys.argv[0]).absolute()
    found = shutil.which(own.name)
    return [own.name if found and Path(found).samefile(own) else _short(own)]


def _short(path: Path) -> str:
    """Return a path as seen from the working directory, where it is below that."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _width() -> int:
    return shutil.get_terminal_size().columns


def _folded(words: Sequence[str], width: int) -> str:
    """Write a command over as many lines as it takes, so that it can still be pasted. An option keeps its value."""
    parts: list[str] = []
    for word in map(shlex.quote, words):
        if parts and parts[-1].startswith("--") and " " not in parts[-1] and not word.startswith("--"):
            parts[-1] += f" {word}"
        else:
            parts.append(word)
    rows = [f"  {parts[0]}"]
    for part in parts[1:]:
        if len(rows[-1]) + 1 + len(part) + len(" \\") <= width:
            rows[-1] += f" {part}"
        else:
            rows[-1] += " \\"
            rows.append(f"      {part}")
    return "\n".join(rows)
