"""`order-router check`."""

import logging
from typing import TYPE_CHECKING, Annotated, Final

import typer

from router.cli.process import EXIT_FAILED, AsJson, ConfigFile, configured, run

if TYPE_CHECKING:
    from router.app.checks import Finding
    from router.config import Config

WIDTHS: Final = (7, 24)
"""Columns of the first two cells; a long name pushes what follows it to the right."""


def check(
    online: Annotated[
        bool, typer.Option("--online", help="Also make every signed read that will be needed, with every account.")
    ] = False,
    feed: Annotated[
        bool, typer.Option("--feed/--no-feed", help="Whether order events are wanted: they can need keys of their own.")
    ] = True,
    config: ConfigFile = None,
    json: AsJson = False,
) -> None:
    """Check configuration, keys, broker, journal and clocks.

    Fails wherever a worker would. Exit status 0 if nothing failed; a warning is no failure. Declares nothing.
    """
    settings = configured(config)
    raise typer.Exit(0 if run(_report(settings, online=online, feed=feed, json=json)) else EXIT_FAILED)


async def _report(settings: "Config", *, online: bool, feed: bool, json: bool) -> bool:
    from router.app.checks import findings
    from router.cli.output import as_json
    from router.telemetry import configure_logging, redact

    configure_logging(settings.secret_values(), level=logging.CRITICAL)
    found = []
    async for one in findings(settings, online=online, feed=feed):
        told = one._replace(check=redact(one.check), message=redact(" ".join(one.message.split())))
        found.append(told)
        if not json:
            show(told)
    if json:
        as_json([told._asdict() for told in found])
    return all(told.status != "failed" for told in found)


def show(found: "Finding") -> None:
    """Print one finding as soon as it is there: some take seconds."""
    from router.cli.output import row

    row(WIDTHS, (found.status, found.check, found.message))
