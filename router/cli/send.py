"""`order-router send close|cancel|close_all|cancel_all`."""

import datetime
import logging
import sys
import time
import uuid
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from router.cli.process import EXIT_FAILED, AsJson, ConfigFile, configured, progress, run

if TYPE_CHECKING:
    from router.config import Config
    from schemas.commands import Command
    from schemas.events import OrderEvent
    from schemas.results import Result

GRACE_S: Final = 15.0
"""An answer is due by `not_after`; this is for its way back."""

MOST_TTL_S: Final = 86_400.0

app = typer.Typer(no_args_is_help=True, help="Publish one command, wait for and print what comes of it.")

Venue = Annotated[str, typer.Option(metavar="NAME", help="The venue, such as gmo_coin.")]
Account = Annotated[str, typer.Option(metavar="NAME", help="The account at the venue.")]
Symbol = Annotated[str, typer.Option(metavar="NAME", help="The venue's own symbol.")]
AnySymbol = Annotated[str | None, typer.Option(metavar="NAME", help="The venue's own symbol.")]
Side = Annotated[Literal["buy", "sell"] | None, typer.Option(help="The side of the closing order.")]
CommandId = Annotated[str | None, typer.Option(metavar="ID", help="The idempotency key; default: a new one.")]
Ttl = Annotated[float, typer.Option(metavar="S", min=0, help="Seconds until the deadline, not_after.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Do everything but send.")]
Params = Annotated[list[str] | None, typer.Option("--param", metavar="KEY=VALUE", help="An extra of the venue's own.")]
MessagePack = Annotated[bool, typer.Option("--msgpack", help="Encode as MessagePack instead of JSON.")]
UserId = Annotated[str | None, typer.Option(metavar="NAME", help="The sender (AMQP user_id): the broker's user.")]


@app.command()
def close(
    *,
    venue: Venue,
    account: Account,
    symbol: Symbol,
    position_id: Annotated[str | None, typer.Option(metavar="ID", help="The venue's id of the position.")] = None,
    side: Side = None,
    size: Annotated[
        str | None, typer.Option(metavar="DECIMAL", help="How much; default: all, where the venue can.")
    ] = None,
    order_type: Annotated[Literal["market", "limit", "stop"] | None, typer.Option(help="Default: market.")] = None,
    price: Annotated[str | None, typer.Option(metavar="DECIMAL", help="For limit and stop.")] = None,
    time_in_force: Annotated[
        Literal["gtc", "ioc", "fok", "post_only"] | None, typer.Option(help="Default: gtc.")
    ] = None,
    command_id: CommandId = None,
    ttl: Ttl = 30.0,
    dry_run: DryRun = False,
    param: Params = None,
    msgpack: MessagePack = False,
    user_id: UserId = None,
    config: ConfigFile = None,
    json: AsJson = False,
) -> None:
    """Close a position."""
    fields = {"position_id": position_id, "side": side, "size": size, "order_type": order_type, "price": price}
    fields |= {"venue": venue, "account": account, "symbol": symbol, "time_in_force": time_in_force}
    command = build("close", fields, command_id=command_id, ttl_s=ttl, dry_run=dry_run, params=param)
    _send(command, config, ttl_s=ttl, msgpack=msgpack, user_id=user_id, json=json)


@app.command()
def cancel(
    *,
    venue: Venue,
    account: Account,
    symbol: AnySymbol = None,
    order_id: Annotated[str | None, typer.Option(metavar="ID", help="The venue's id of the order.")] = None,
    target_command_id: Annotated[str | None, typer.Option(metavar="ID", help="The close that placed it.")] = None,
    await_final: Annotated[bool, typer.Option("--await-final", help="Answer once it is proven not working.")] = False,
    command_id: CommandId = None,
    ttl: Ttl = 30.0,
    dry_run: DryRun = False,
    param: Params = None,
    msgpack: MessagePack = False,
    user_id: UserId = None,
    config: ConfigFile = None,
    json: AsJson = False,
) -> None:
    """Cancel an order."""
    fields = {"venue": venue, "account": account, "symbol": symbol, "order_id": order_id, "await_final": await_final}
    fields |= {"target_command_id": target_command_id}
    command = build("cancel", fields, command_id=command_id, ttl_s=ttl, dry_run=dry_run, params=param)
    _send(command, config, ttl_s=ttl, msgpack=msgpack, user_id=user_id, json=json)


def _all(action: Literal["close_all", "cancel_all"], help_text: str) -> None:
    @app.command(action, help=help_text)
    def every(
        *,
        venue: Venue,
        account: Account,
        symbol: AnySymbol = None,
        side: Side = None,
        command_id: CommandId = None,
        ttl: Ttl = 30.0,
        dry_run: DryRun = False,
        param: Params = None,
        msgpack: MessagePack = False,
        user_id: UserId = None,
        config: ConfigFile = None,
        json: AsJson = False,
    ) -> None:
        fields = {"venue": venue, "account": account, "symbol": symbol, "side": side}
        command = build(action, fields, command_id=command_id, ttl_s=ttl, dry_run=dry_run, params=param)
        _send(command, config, ttl_s=ttl, msgpack=msgpack, user_id=user_id, json=json)


_all("close_all", "Close an account's positions, by symbol and side.")
_all("cancel_all", "Cancel an account's orders, by symbol and side.")


def build(
    action: str,
    fields: dict[str, Any],
    *,
    command_id: str | None = None,
    ttl_s: float = 30.0,
    dry_run: bool = False,
    params: list[str] | None = None,
) -> "Command":
    """Make a command of the options that were given. Raises a usage error for one that cannot be."""
    import msgspec

    from schemas.commands import Command
    from schemas.wording import mistakes_in

    if not 0 <= ttl_s <= MOST_TTL_S:
        raise typer.BadParameter(f"--ttl: expected seconds from 0 to {MOST_TTL_S:g}, got {ttl_s:g}")
    now = datetime.datetime.now(datetime.UTC)
    given = {name: value for name, value in fields.items() if value is not None}
    given |= {"type": action, "command_id": command_id or str(uuid.uuid4()), "dry_run": dry_run, "issued_at": now}
    given |= {"not_after": now + datetime.timedelta(seconds=ttl_s), "params": dict(map(_param, params or ()))}
    try:
        command: Command = msgspec.convert(given, Command)
    except msgspec.ValidationError as error:
        raise typer.BadParameter(mistakes_in(msgspec.to_builtins(given)) or str(error)) from None
    return command


def _param(text: str) -> tuple[str, Any]:
    """Read `key=value`; a value that is JSON is taken as such, anything else as text."""
    import msgspec

    key, equals, value = text.partition("=")
    if not key or not equals:
        raise typer.BadParameter(f"{text!r} is not KEY=VALUE")
    try:
        return key, msgspec.json.decode(value)
    except msgspec.DecodeError:
        return key, value


def _send(
    command: "Command", config: Path | None, *, ttl_s: float, msgpack: bool, user_id: str | None, json: bool
) -> None:
    settings = configured(config)
    from router.telemetry import configure_logging

    # What matters is told in one line; the AMQP library would add its own.
    configure_logging(settings.secret_values(), level=logging.CRITICAL)
    with progress() if sys.stderr.isatty() else nullcontext(lambda _: None) as tell:
        tell("connecting to the broker")
        delivery = _deliver(command, settings, tell, ttl_s=ttl_s, msgpack=msgpack, user_id=user_id, json=json)
        fine = run(delivery)
    raise typer.Exit(0 if fine else EXIT_FAILED)


async def _deliver(
    command: "Command",
    settings: "Config",
    tell: Callable[[str], None],
    *,
    ttl_s: float,
    msgpack: bool,
    user_id: str | None,
    json: bool,
) -> bool:
    from router.broker import CommandClient
    from schemas.codec import JSON, MSGPACK
    from schemas.results import Result

    async with CommandClient(settings.broker) as caller:
        command = stamped(command, ttl_s)
        await caller.publish(command, content_type=MSGPACK if msgpack else JSON, user_id=user_id)
        waited_for = f"{command.command_id} is published; waiting for"
        tell(f"{waited_for} its answer, until {command.not_after:%H:%M:%S} UTC")
        wait_s = ttl_s + GRACE_S
        began, doubted = time.monotonic(), False
        while (heard := await caller.hear(began + wait_s - time.monotonic())) is not None:
            tell("")
            _print(heard, json=json)
            if isinstance(heard, Result):
                if heard.final:
                    return heard.outcome in {"accepted", "done"}
                doubted = True
                # A doubt is settled, one way or the other, within this.
                began, wait_s = time.monotonic(), settings.worker.resolve_for_s + GRACE_S
                tell(f"{waited_for} its final result, up to {wait_s:g} s")
    tell("")
    told = f"no final result within {wait_s:g} s: order-router journal show {command.command_id} tells what is known"
    typer.echo(told if doubted else f"no answer within {wait_s:g} s: is a worker running?", err=True)
    return False


def stamped(command: "Command", ttl_s: float) -> "Command":
    """Return the command as decided now: connecting may have taken a while, and its deadline counts from here."""
    import msgspec

    now = datetime.datetime.now(datetime.UTC)
    return msgspec.structs.replace(command, issued_at=now, not_after=now + datetime.timedelta(seconds=ttl_s))


def _print(heard: "Result | OrderEvent", *, json: bool) -> None:
    from router.cli.formatting import event_line, result_line
    from router.cli.output import lines
    from schemas.codec import encode_event, encode_result
    from schemas.results import Result

    if isinstance(heard, Result):
        typer.echo(encode_result(heard).decode()) if json else lines(result_line(heard))
    else:
        typer.echo(encode_event(heard).decode()) if json else lines(event_line(heard))
