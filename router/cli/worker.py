"""`order-router worker`."""

from typing import Annotated

import typer

from router.cli.process import ConfigFile, configured, run_until_stopped


def worker(
    config: ConfigFile = None,
    feed: Annotated[bool, typer.Option("--feed", help="Run the order-event feeds in this process too.")] = False,
) -> None:
    """Consume commands until SIGTERM, then finish what has begun."""
    settings = configured(config)
    from router.app.worker import run_worker
    from router.telemetry import configure_logging

    configure_logging(settings.secret_values())
    run_until_stopped(lambda stop: run_worker(settings, stop=stop, feed=feed))
