"""`order-router simulate`."""

from typing import TYPE_CHECKING, Annotated

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
            typer.echo(msgspec.toml.encode(config).decode(), nl=False)
        else:
            typer.echo(msgspec.json.encode({"venues": simulators.urls(), "config": config}).decode())
        await stop.wait()
