"""The endpoints for a scraper and a supervisor (contract, section 5).

/metrics   what the process counts
/healthz   200 as long as the event loop turns
/readyz    200 when every check holds, else 503; the checks are of this process, never of venues or feeds
"""

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Final, Self

import msgspec
from aiohttp import hdrs, web

from router.telemetry import Metrics

SHUTDOWN_S: Final = 1.0


class HttpServer:
    """Serves until the context ends. `ready` names the checks and says which hold.

    Raises `OSError` on entering when the address cannot be had.
    """

    def __init__(self, host: str, port: int, metrics: Metrics, ready: Callable[[], Mapping[str, bool]]) -> None:
        self.host = host
        self.port = port
        self._metrics = metrics
        self._ready = ready
        app = web.Application()
        app.router.add_get("/metrics", self._serve_metrics)
        app.router.add_get("/healthz", self._serve_health)
        app.router.add_get("/readyz", self._serve_readiness)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=SHUTDOWN_S)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self.host, self.port).start()
        except OSError:
            await self._runner.cleanup()
            raise
        self.port = int(self._runner.addresses[0][1])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    async def _serve_metrics(self, request: web.Request) -> web.Response:
        body, content_type = self._metrics.exposition(request.headers.get(hdrs.ACCEPT, ""))
        return web.Response(body=body, headers={hdrs.CONTENT_TYPE: content_type})

    async def _serve_health(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _serve_readiness(self, _: web.Request) -> web.Response:
        checks = dict(self._ready())
        ready = all(checks.values())
        body = msgspec.json.encode({"ready": ready, "checks": checks})
        return web.Response(body=body, status=200 if ready else 503, content_type="application/json")
