"""The simulated venues as HTTP servers on loopback, each on a port of its own."""

from collections.abc import Mapping
from functools import partial
from types import TracebackType
from typing import Any, Final, Self

from aiohttp import web

from router.simulator import venues
from router.simulator.control import PREFIX, Control
from router.simulator.venue import VenueSimulator

SHUTDOWN_S: Final = 1.0


class Simulators:
    """All venues, served until the context ends.

    `ports` maps a venue to its port; without one the system chooses. `rate_limits=False` lifts the venues' limits and
    says so in `config()`. New orders, fills and positions have ids from `ids_from` beyond the venue's first: whoever
    keeps what an earlier run told gives a greater number each time, and no id is met twice.
    The simulators can be used from Python (`venues`) and over HTTP (`router.simulator.control`).
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        ports: Mapping[str, int] | None = None,
        rate_limits: bool = True,
        ids_from: int = 0,
    ) -> None:
        self.host = host
        self.venues: dict[str, VenueSimulator] = {
            name: venues.simulator_type(name)(rate_limits=rate_limits, ids_from=ids_from) for name in venues.names()
        }
        self._rate_limits = rate_limits
        self._ports = dict(ports or {})
        self._runners: list[web.AppRunner] = []

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen. Raises `OSError` when a port is taken; nothing is left open then."""
        try:
            for name, simulator in self.venues.items():
                await self._listen(name, simulator)
        except OSError:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Let go of requests that hang and close every connection."""
        for simulator in self.venues.values():
            simulator.stop()
        runners, self._runners = self._runners, []
        for runner in runners:
            await runner.cleanup()

    def root(self, venue: str) -> str:
        """Return a venue's scheme, host and port. A port that was given is known before the start, too."""
        return f"http://{self.host}:{self._ports[venue]}"

    def urls(self) -> dict[str, dict[str, str]]:
        """Return every venue's configuration URLs, and `control_url`."""
        return {
            name: {**simulator.urls(self.root(name)), "control_url": self.root(name) + PREFIX}
            for name, simulator in self.venues.items()
        }

    def config(self) -> dict[str, Any]:
        """Return the sections of a router configuration that lead to these simulators."""
        lifted = {} if self._rate_limits else {"limits": "off"}
        return {
            "venues": {name: {**simulator.urls(self.root(name)), **lifted} for name, simulator in self.venues.items()},
            "accounts": {
                name: {account.name: simulator.secrets(account) for account in simulator.accounts.values()}
                for name, simulator in self.venues.items()
            },
        }

    async def _listen(self, name: str, simulator: VenueSimulator) -> None:
        app = web.Application()
        app.router.add_routes(Control(simulator).routes())
        for endpoint in simulator.endpoints():
            app.router.add_route(endpoint.method, endpoint.path, partial(simulator.serve, endpoint))
        if simulator.feed is not None:
            app.router.add_get(simulator.feed.path, simulator.feed.connect, allow_head=False)
        app.router.add_route("*", "/{tail:.*}", simulator.unknown)
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=SHUTDOWN_S)
        await runner.setup()
        self._runners.append(runner)
        await web.TCPSite(runner, self.host, self._ports.get(name, 0), backlog=1024).start()
        self._ports[name] = int(runner.addresses[0][1])
