"""/metrics, /healthz and /readyz over a real socket."""

import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest

from router.telemetry import Metrics
from router.telemetry.endpoints import HttpServer

pytestmark = pytest.mark.integration


class Checks:
    """What the server is told about readiness."""

    def __init__(self) -> None:
        self.now: dict[str, bool] = {"consuming": True, "journal": True}

    def __call__(self) -> dict[str, bool]:
        return self.now


@pytest.fixture
def checks() -> Checks:
    """Everything holds."""
    return Checks()


@pytest.fixture
async def server(checks: Checks) -> AsyncIterator[HttpServer]:
    """A server on a free port."""
    async with HttpServer("127.0.0.1", 0, Metrics(("gmo_coin",)), checks) as server:
        yield server


@pytest.fixture
async def client(server: HttpServer) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of that server."""
    async with aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as session:
        yield session


async def test_metrics_are_served_as_the_scraper_asks(client: aiohttp.ClientSession) -> None:
    """Prometheus text by default, OpenMetrics on request."""
    async with client.get("/metrics") as answer:
        assert (answer.status, answer.content_type) == (200, "text/plain")
        assert 'order_router_in_flight{venue="gmo_coin"} 0.0' in await answer.text()
    async with client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"}) as answer:
        assert (answer.status, answer.content_type) == (200, "application/openmetrics-text")
        assert (await answer.text()).endswith("# EOF\n")


async def test_health_does_not_depend_on_readiness(client: aiohttp.ClientSession, checks: Checks) -> None:
    """A worker that waits for its broker must not be restarted for it."""
    checks.now = {"consuming": False}
    async with client.get("/healthz") as answer:
        assert (answer.status, await answer.text()) == (200, "ok\n")


async def test_readiness_follows_the_checks(client: aiohttp.ClientSession, checks: Checks) -> None:
    """200 only while every check holds; the body says which does not."""
    async with client.get("/readyz") as answer:
        assert (answer.status, await answer.json()) == (200, {"ready": True, "checks": checks.now})
    checks.now = {"consuming": True, "journal": False}
    async with client.get("/readyz") as answer:
        assert (answer.status, await answer.json()) == (503, {"ready": False, "checks": checks.now})
    checks.now = {"consuming": True, "journal": True}
    async with client.get("/readyz") as answer:
        assert answer.status == 200


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/", 404), ("POST", "/readyz", 405), ("HEAD", "/healthz", 200)]
)
async def test_nothing_else_is_served(client: aiohttp.ClientSession, method: str, path: str, status: int) -> None:
    """Three paths, reads only."""
    async with client.request(method, path) as answer:
        assert answer.status == status


async def test_the_port_is_free_again_afterwards(checks: Checks) -> None:
    """A restart finds its address."""
    async with HttpServer("127.0.0.1", 0, Metrics(()), checks) as server:
        port = server.port
    async with HttpServer("127.0.0.1", port, Metrics(()), checks) as again:
        assert again.port == port


async def test_a_taken_port_is_an_error(checks: Checks) -> None:
    """Not a server that nobody reaches."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = HttpServer("127.0.0.1", taken.getsockname()[1], Metrics(()), checks)
        with pytest.raises(OSError, match="in use"):
            await server.__aenter__()
