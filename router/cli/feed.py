"""`order-router feed`."""

from router.cli.process import ConfigFile, configured, run_until_stopped


def feed(config: ConfigFile = None) -> None:
    """Run the order-event feeds until SIGTERM.

    Each account's feed has one owner across all processes.
    """
    settings = configured(config)
    from router.app.feed import run_feed
    from router.telemetry import configure_logging

    configure_logging(settings.secret_values())
    run_until_stopped(lambda stop: run_feed(settings, stop=stop))
