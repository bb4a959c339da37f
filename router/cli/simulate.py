"""`order-router simulate`."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from router.cli.process import run_until_stopped

if TYPE_CHECKING:
    import asyncio


def simulate(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65_000, help="The first venue's port, the others follow it; 0 takes free ones.")
    ] = 0,
    limits: Annotated[bool, typer.Option("--limits/--no-limits", help="Enforce the venues' rate limits.")] = True,
    toml: Annotated[bool, typer.Option("--toml", help="Print the configuration alone, as a TOML file.")] = False,
) -> None:
    """Serve simulated venues until interrupted.

    Prints one line of JSON: their URLs and the configuration that leads a worker to them.
    """
    run_until_stopped(lambda stop: _serve(stop, host=host, port=port, limits=limits, toml=toml))


async def _serve(stop: "asyncio.Event", *, host: str, port: int, limits: bool, toml: bool) -> None:
    import msgspec

    from router.simulator import Simulators, venues

    ports = {venue: port + number for number, venue in enumerate(venues.names())} if port else None
    async with Simulators(host, ports, rate_limits=limits) as simulators:
        config = simulators.config()
        if toml:
            typer.echo("\n".join(toml_lines(config)))
        else:
            typer.echo(msgspec.json.encode({"venues": simulators.urls(), "config": config}).decode())
        await stop.wait()


def toml_lines(table: Mapping[str, Any], names: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield a configuration as TOML. Values are texts, numbers, switches or lists of them."""
    import msgspec

    def text(value: Any) -> str:
        # A JSON text, number, switch or list is one in TOML as well.
        return msgspec.json.encode(value).decode()

    plain = {key: value for key, value in table.items() if not isinstance(value, Mapping)}
    if plain and names:
        yield f"[{'.'.join(names)}]"
    for key, value in plain.items():
        yield f"{key} = {text(value)}"
    if plain:
        yield ""
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from toml_lines(value, (*names, key))
