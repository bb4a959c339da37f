"""The command line (contract, section 6): one small module per command, its heavy imports inside it.

Exit status: 0 fine; 1 the thing asked for failed; 2 usage; 78 bad configuration. A mistake of the user's is one clear
line on stderr, never a traceback.
"""

import sys
from typing import Annotated, NoReturn

import typer

from router.cli import check, demo, dev, feed, journal, schema, send, simulate, worker
from router.cli.process import EXIT_CONFIG, EXIT_FAILED

app = typer.Typer(
    name="order-router",
    help="Close positions and cancel orders at crypto exchanges, commanded over RabbitMQ.",
    no_args_is_help=True,
    # Plain help: importing what draws the boxes takes longer than everything else together.
    rich_markup_mode=None,
    # A traceback with local variables would print credentials.
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(worker.worker)
app.command()(feed.feed)
app.add_typer(dev.app, name="dev")
app.command()(demo.demo)
app.command()(simulate.simulate)
app.add_typer(send.app, name="send")
app.command()(check.check)
app.add_typer(journal.app, name="journal")
app.command()(schema.schema)


@app.callback()
def common(
    show_version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Show the version and exit.",
            is_eager=True,
            callback=lambda wanted: _show_version(wanted=wanted),
        ),
    ] = False,
) -> None:
    """Close positions and cancel orders at crypto exchanges, commanded over RabbitMQ."""


def main() -> NoReturn:
    """Run the command line and exit with its status."""
    from router.errors import ConfigError, RouterError

    try:
        app()
    except ConfigError as error:
        for line in error.lines:
            print(_harmless(line), file=sys.stderr)
        sys.exit(EXIT_CONFIG)
    except RouterError as error:
        print(f"order-router: {_harmless(str(error))}", file=sys.stderr)
    except OSError as error:
        # A port that is taken, a file that cannot be written: the system's own words name it.
        print(f"order-router: {_harmless(str(error))}", file=sys.stderr)
    sys.exit(EXIT_FAILED)


def _harmless(text: str) -> str:
    """Return one line without secrets; without the telemetry nothing has been told any."""
    logs = sys.modules.get("router.telemetry.logs")
    line = " ".join(text.split())
    return str(logs.redact(line)) if logs else line


def _show_version(*, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            typer.echo(f"order-router {version('order-router')}")
        except PackageNotFoundError:
            typer.echo("order-router, not installed")
        raise typer.Exit
