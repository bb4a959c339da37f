"""`order-router worker`."""

from router.cli.process import ConfigFile, configured, run_until_stopped


def worker(config: ConfigFile = None) -> None:
    """Consume commands until SIGTERM, then finish what has begun."""
    settings = configured(config)
    from router.app import run_worker
    from router.telemetry import configure_logging

    configure_logging(settings.secret_values())
    run_until_stopped(lambda stop: run_worker(settings, stop=stop))
