"""`order-router demo`."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer

from router.cli.process import EXIT_FAILED, AsJson, ConfigFile, on_signal, run

if TYPE_CHECKING:
    from router.cli.stage import Stage
    from router.cli.witness import Exchanged
    from router.config import Broker
    from schemas.results import Result

ANSWER_S: Final = 40.0
HEADINGS: Final = ("command", "request", "answer", "result", "latency")


class Step(NamedTuple):
    """One command, with the values of the venue's own document, and the outcome it describes."""

    action: str
    fields: dict[str, Any]
    outcome: str

    def __str__(self) -> str:
        target = self.fields.get("order_id") or self.fields.get("position_id") or self.fields["symbol"]
        return f"{self.action} {self.fields['venue']} {target}"


GMO_CLOSE: Final = {
    "venue": "gmo_coin",
    "symbol": "BTC_JPY",
    "position_id": "1000342",
    "side": "buy",
    "size": "3.44",
    "order_type": "limit",
    "price": "85201",
    "time_in_force": "gtc",
}
STEPS: Final = (
    Step("close", GMO_CLOSE, "accepted"),
    Step("cancel", {"venue": "gmo_coin", "order_id": "637000"}, "accepted"),
    Step("close", {"venue": "coinbase", "symbol": "BIT-28JUL23-CDE", "size": "3"}, "accepted"),
    Step("cancel", {"venue": "coinbase", "order_id": "11111-00000-000000"}, "accepted"),
    Step("cancel", {"venue": "btcturk", "order_id": "123456789"}, "accepted"),
    Step("cancel", {"venue": "nami", "symbol": "BTCUSDT", "order_id": "435372"}, "done"),
)


class Row(NamedTuple):
    """What became of one step. `ms` is from publishing the command to having its final result."""

    step: Step
    ms: float
    sent: "tuple[Exchanged, ...]"
    result: "Result | None"

    @property
    def right(self) -> bool:
        """Whether one request was made and the result is what the document says."""
        return (
            self.result is not None
            and self.result.outcome == self.step.outcome
            and bool(self.result.order_id)
            and self.step.fields.get("order_id") in {None, self.result.order_id}
            and len(self.sent) == 1
        )

    def cells(self) -> tuple[str, ...]:
        """Say it for people, under `HEADINGS`."""
        from router.cli.lines import result_line

        return (
            str(self.step),
            "; ".join(exchanged.request for exchanged in self.sent) or "nothing sent",
            "; ".join(exchanged.answer for exchanged in self.sent) or "none",
            (result_line(self.result) if self.result else "no result") + ("" if self.right else "  NOT AS DOCUMENTED"),
            f"{self.ms:.1f} ms, of which the venue {sum(exchanged.ms for exchanged in self.sent):.1f}",
        )

    def fields(self) -> dict[str, Any]:
        """Say it for programs."""
        import msgspec

        plain = {"command": {"type": self.step.action, **self.step.fields}, "sent": self.sent, "result": self.result}
        found: dict[str, Any] = msgspec.to_builtins({**plain, "ms": round(self.ms, 1), "right": self.right})
        return found


def demo(
    stay: Annotated[bool, typer.Option("--stay", help="Keep everything up afterwards, until interrupted.")] = False,
    config: ConfigFile = None,
    json: AsJson = False,
) -> None:
    """Show six commands over four simulated venues.

    Each goes from RabbitMQ through a worker to the venue and back. Runs a RabbitMQ node of its own, or uses the
    broker of --config or ORDER_ROUTER_BROKER__URL under a prefix that is removed afterwards.
    """
    with _progress() as tell:
        try:
            tell("loading")
            from router.cli.stage import broker_for

            with broker_for(config, tell) as broker:
                right = run(_demo(broker, tell, stay=stay, json=json))
                tell("stopping")
        except KeyboardInterrupt:
            typer.echo("interrupted", err=True)
            right = False
    raise typer.Exit(0 if right else EXIT_FAILED)


async def _demo(broker: "Broker", tell: Callable[[str], None], *, stay: bool, json: bool) -> bool:
    from router.cli.stage import staged

    async with staged(broker, tell) as stage:
        try:
            rows = []
            for number, step in enumerate(STEPS, 1):
                tell(f"command {number} of {len(STEPS)}: {step}")
                rows.append(await _play(step, stage))
            tell("")
            _show(rows, json=json)
            if stay:
                await _stay(stage, tell)
        finally:
            # What is taken down must not be interrupted half way.
            on_signal(lambda: None)
    return all(row.right for row in rows)


async def _play(step: Step, stage: "Stage") -> Row:
    from router.cli.send import build

    command = build(step.action, {"account": "main", **step.fields})
    seen = stage.witness.seen[step.fields["venue"]]
    before, began = len(seen), time.perf_counter()
    await stage.caller.publish(command)
    result = None
    async for result in stage.caller.results(ANSWER_S):
        if result.final:
            break
    return Row(step, (time.perf_counter() - began) * 1000, tuple(seen[before:]), result)


def _show(rows: list[Row], *, json: bool) -> None:
    if json:
        import msgspec

        typer.echo(msgspec.json.encode([row.fields() for row in rows]).decode())
    elif sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(expand=True)
        for heading in HEADINGS:
            table.add_column(heading, overflow="fold")
        for row in rows:
            table.add_row(*map(Text, row.cells()), end_section=True)
        Console().print(table)
    else:
        for row in rows:
            typer.echo("  →  ".join(row.cells()))


async def _stay(stage: "Stage", tell: Callable[[str], None]) -> None:
    import asyncio

    from router.cli.stage import visible

    stop = asyncio.Event()
    on_signal(stop.set)

    typer.echo(visible(stage.urls()))
    tell("staying up; Ctrl-C ends it")
    await stop.wait()


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
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
