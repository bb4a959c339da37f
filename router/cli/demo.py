"""`order-router demo`."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer

from router.cli.process import EXIT_FAILED, AsJson, ConfigFile, on_signal, progress, run

if TYPE_CHECKING:
    from router.config import BrokerSettings
    from router.demo.observer import Exchanged
    from router.demo.stage import Stage
    from schemas.events import OrderEvent
    from schemas.results import Result

ANSWER_S: Final = 40.0
EVENTS_S: Final = 3.5
"""How long after its result a command's order events are waited for; Nami is polled every 3 s or so."""
HEADINGS: Final = ("command", "request", "answer", "result", "latency")


class Step(NamedTuple):
    """One command, with the values of the venue's own document, the outcome it describes, and the order's status."""

    action: str
    fields: dict[str, Any]
    outcome: str
    status: str

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
    Step("close", GMO_CLOSE, "accepted", "working"),
    Step("cancel", {"venue": "gmo_coin", "order_id": "637000"}, "accepted", "canceled"),
    Step("close", {"venue": "coinbase", "symbol": "BIT-28JUL23-CDE", "size": "3"}, "accepted", "filled"),
    Step("cancel", {"venue": "coinbase", "order_id": "11111-00000-000000"}, "accepted", "canceled"),
    Step("cancel", {"venue": "btcturk", "order_id": "123456789"}, "accepted", "canceled"),
    Step("cancel", {"venue": "nami", "symbol": "BTCUSDT", "order_id": "435372"}, "done", "canceled"),
)


class Heard(NamedTuple):
    """An order event, and when after the final result it came; less than zero when it came before."""

    event: "OrderEvent"
    after_ms: float

    def __str__(self) -> str:
        from router.cli.formatting import event_line

        return f"{event_line(self.event)}  {self.after_ms:+.0f} ms after the result"


class Row(NamedTuple):
    """What became of one step. `ms` is from publishing the command to having its final result."""

    step: Step
    ms: float
    sent: "tuple[Exchanged, ...]"
    result: "Result | None"
    events: tuple[Heard, ...]

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
        from router.cli.formatting import result_line

        return (
            str(self.step),
            "; ".join(exchanged.request for exchanged in self.sent) or "nothing sent",
            "; ".join(exchanged.answer for exchanged in self.sent) or "none",
            (result_line(self.result) if self.result else "no result") + ("" if self.right else "  NOT AS DOCUMENTED"),
            f"{self.ms:.1f} ms, of which the venue {sum(exchanged.ms for exchanged in self.sent):.1f}",
        )

    def lines(self) -> list[tuple[str, str]]:
        """Say it for people on a terminal: what was asked, sent, answered, made of it, and heard of the order."""
        from router.cli.formatting import event_line, result_line

        request, answer, _, latency = self.cells()[1:]
        outcome = self.result.outcome if self.result else "failed"
        came_to = result_line(self.result).removeprefix(outcome).strip() if self.result else "no result"
        wrong = "" if self.right else "  NOT AS DOCUMENTED"
        told = [(f"{heard.after_ms:+.0f} ms", event_line(heard.event)) for heard in self.events]
        sent = [("command", str(self.step)), ("request", request), ("answer", answer)]
        return [*sent, (outcome, f"{came_to}{wrong}"), ("latency", latency), *told, ("", "")]

    def fields(self) -> dict[str, Any]:
        """Say it for programs."""
        import msgspec

        plain = {"command": {"type": self.step.action, **self.step.fields}, "sent": self.sent, "result": self.result}
        events = [{**msgspec.to_builtins(heard.event), "after_ms": round(heard.after_ms, 1)} for heard in self.events]
        found: dict[str, Any] = msgspec.to_builtins(
            {**plain, "events": events, "ms": round(self.ms, 1), "right": self.right}
        )
        return found


def demo(
    stay: Annotated[bool, typer.Option("--stay", help="Keep everything up afterwards, until interrupted.")] = False,
    config: ConfigFile = None,
    json: AsJson = False,
) -> None:
    """Show six commands over four simulated venues.

    Each goes from RabbitMQ through a worker to the venue and back, and what the venue then reports of the order comes
    after it as events, which the exit status does not depend on. Runs a RabbitMQ node of its own, or uses the
    broker of --config or ORDER_ROUTER_BROKER__URL under a prefix that is removed afterwards.
    """
    with progress() as tell:
        try:
            tell("loading")
            from router.demo.stage import broker_for

            with broker_for(config, tell) as broker:
                right = run(_demo(broker, tell, stay=stay, json=json))
                tell("stopping")
        except KeyboardInterrupt:
            typer.echo("interrupted", err=True)
            right = False
    raise typer.Exit(0 if right else EXIT_FAILED)


async def _demo(broker: "BrokerSettings", tell: Callable[[str], None], *, stay: bool, json: bool) -> bool:
    from router.demo.stage import staged

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
    from schemas.events import OrderEvent

    command = build(step.action, {"account": "main", **step.fields})
    seen = stage.observer.seen[step.fields["venue"]]
    before, began = len(seen), time.perf_counter()
    await stage.caller.publish(command)
    result, answered, ends = None, began, began + ANSWER_S
    events: list[tuple[OrderEvent, float]] = []
    final = reported = False
    while not (final and reported):
        heard = await stage.caller.hear(ends - time.perf_counter())
        now = time.perf_counter()
        if heard is None:
            break
        if heard.command_id != command.command_id:
            continue  # an earlier step's, late
        if isinstance(heard, OrderEvent):
            events.append((heard, now))
            reported = reported or heard.status == step.status
        else:
            result, answered, final = heard, now, heard.final
            if final:
                ends = now + (EVENTS_S if heard.venue in stage.live else 0)
    return Row(
        step,
        ((answered if result else time.perf_counter()) - began) * 1000,
        tuple(seen[before:]),
        result,
        tuple(Heard(event, (at - answered) * 1000) for event, at in events),
    )


def _show(rows: list[Row], *, json: bool) -> None:
    if json:
        import msgspec

        typer.echo(msgspec.json.encode([row.fields() for row in rows]).decode())
        return
    from router.cli.output import Column, on_terminal, table

    if on_terminal():
        table((Column("", coloured=True, whole=True), Column("")), [line for row in rows for line in row.lines()])
    else:
        for row in rows:
            typer.echo("  →  ".join(row.cells()))
            for line in map(str, row.events or ("no event",)):
                typer.echo(f"   {line}")


async def _stay(stage: "Stage", tell: Callable[[str], None]) -> None:
    import asyncio

    from router.demo.stage import visible

    stop = asyncio.Event()
    on_signal(stop.set)

    typer.echo(visible(stage.urls()))
    tell("staying up; Ctrl-C ends it")
    await stop.wait()
