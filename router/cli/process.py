"""What every command shares: its exit status, the configuration it reads, the loop it runs in, the signals it obeys."""

import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

if TYPE_CHECKING:
    import asyncio

    from router.config import Config

EXIT_FAILED: Final = 1
EXIT_CONFIG: Final = 78
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
SWITCH_S: Final = 0.0005
"""How long a thread keeps the interpreter while another waits for it: the journal's needs it for microseconds, several
times a transaction, and by default waits up to 5 ms each time (https://docs.python.org/3/library/sys.html)."""

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config", metavar="FILE", help="The configuration; default $ORDER_ROUTER_CONFIG, then order-router.toml."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]

_T = TypeVar("_T")


def configured(file: Path | None) -> "Config":
    """Load the configuration. Raises `ConfigError`."""
    from router.config import load

    return load(file, os.environ)


def operator() -> str:
    """Return the name of the system's user who typed the command."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an id without a name, as in a container
        return f"uid {os.getuid()}"


def run(main: Coroutine[Any, Any, _T]) -> _T:
    """Run to the end. A first SIGINT or SIGTERM cancels it, its clean-up still runs; a second one ends the process."""
    import asyncio

    async def cancellable() -> _T:
        task = asyncio.current_task()
        assert task is not None
        on_signal(task.cancel)
        return await main

    try:
        with _runner() as runner:
            return runner.run(cancellable())
    except asyncio.CancelledError:
        typer.echo("interrupted", err=True)
        raise typer.Exit(EXIT_FAILED) from None


def run_until_stopped(main: Callable[["asyncio.Event"], Coroutine[Any, Any, None]]) -> None:
    """Run with an event that the first SIGINT or SIGTERM sets; a second one ends the process at once."""
    import asyncio

    sys.setswitchinterval(SWITCH_S)

    async def stoppable() -> None:
        stop = asyncio.Event()
        on_signal(stop.set)
        await main(stop)

    with _runner() as runner:
        runner.run(stoppable())


def on_signal(act: Callable[[], object]) -> None:
    """Call `act` on the next signal, and leave the one after it to the system. Replaces an earlier `act`."""
    import asyncio

    loop = asyncio.get_running_loop()

    def first() -> None:
        for number in SIGNALS:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)
        act()

    for number in SIGNALS:
        loop.add_signal_handler(number, first)


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """Give a function that says what is going on: in place on a terminal, else line by line. An empty text ends it."""
    if not sys.stderr.isatty():
        yield lambda text: typer.echo(text, err=True) if text else None
        return
    from rich.console import Console

    status = Console(stderr=True).status("")

    def tell(text: str) -> None:
        if text:
            status.update(text)
            status.start()
        else:
            status.stop()

    try:
        yield tell
    finally:
        status.stop()


def _runner() -> "asyncio.Runner":
    import asyncio

    try:
        import uvloop
    except ImportError:  # not on this platform
        return asyncio.Runner()
    return asyncio.Runner(loop_factory=uvloop.new_event_loop)
