"""Through a proxy: connecting is longer, and everything else is as without one."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp.web
import pytest

from router.config.proxy import Proxies, Proxy
from router.errors import DeadlinePassed, MaybeSent, NotSent, SocketClosed
from router.transport.http import HttpTransport
from router.transport.websocket import WebSockets
from tests.unit.transport.bench import METHODS, SECRET, Bench
from tests.unit.transport.connect_proxy import ConnectProxy, open_proxy
from tests.unit.transport.raw_peer import Peer, hang

AUTHORIZATION = b"proxy-authorization: basic"


class Proxied(Bench):
    """A venue called venue.test behind a proxy; its name cannot be looked up here."""

    proxy: ConnectProxy


@pytest.fixture(params=["http", "https"])
async def behind(
    request: pytest.FixtureRequest, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Proxied, str]]:
    """The venue with and without TLS, and its scheme."""
    tls = None
    if request.param == "https":
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(certificate)
        trusting = ssl.create_default_context(cafile=str(certificate))
        monkeypatch.setattr("aiohttp.connector._SSL_CONTEXT_VERIFIED", trusting)
    peer = Peer()
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    async with open_proxy(port) as proxy, HttpTransport(_proxies(proxy.port)) as transport:
        bench = Proxied(peer, transport, port)
        bench.proxy = proxy
        yield bench, request.param
        for writer in peer.writers:
            writer.transport.abort()
    server.close()
    await server.wait_closed()


def _proxies(port: int) -> Proxies:
    proxy = Proxy(host="127.0.0.1", port=port, user="me", password=SECRET)
    return Proxies({"http": proxy, "https": proxy})


@pytest.mark.parametrize("method", METHODS)
async def test_a_request_arrives_as_it_was_signed(behind: tuple[Proxied, str], method: str) -> None:
    """Over TLS the venue sees what it would see without a proxy; the proxy sees nothing but a name and its password."""
    bench, scheme = behind
    request = bench.request(method, scheme=scheme, host="venue.test")
    for _ in range(2):
        assert (await bench.send(request)).body == b"ok"
    assert (bench.begun, len(bench.peer.requests), len(bench.proxy.heads)) == (2, 2, 1)
    seen, told = bench.peer.requests[0], bench.proxy.heads[0].lower()
    assert AUTHORIZATION in told
    assert seen.endswith(request.body)
    if scheme == "https":
        assert told.startswith(f"connect venue.test:{bench.port} http/1.1\r\n".encode())
        assert SECRET.encode() not in told
        assert seen.startswith(f"{method} /v1/x?".encode())
        assert AUTHORIZATION not in seen.lower()
    else:
        assert seen.startswith(f"{method} http://venue.test:{bench.port}/v1/x?".encode())


async def test_what_a_proxy_refuses_is_not_sent(behind: tuple[Proxied, str]) -> None:
    """A tunnel that is refused was none: the request was not written. The words say who refused."""
    bench, scheme = behind
    bench.proxy.refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
    if scheme == "http":  # a plain request is written to the proxy itself: what it says is the answer
        assert (await bench.send(bench.request(scheme=scheme, host="venue.test"))).status == 407
        return
    error = await bench.fails(NotSent, bench.request(scheme=scheme, host="venue.test"))
    assert str(error) == "the proxy refused the connection with status 407"
    assert (bench.begun, bench.peer.connections) == (0, 0)


async def test_a_proxy_that_is_not_there_is_not_sent(behind: tuple[Proxied, str], unused_tcp_port: int) -> None:
    """And said to be the proxy's fault, not the venue's."""
    bench, scheme = behind
    async with HttpTransport(_proxies(unused_tcp_port)) as transport:
        bench.transport = transport
        error = await bench.fails(NotSent, bench.request(scheme=scheme, host="venue.test"))
    assert (str(error), bench.begun) == ("no connection to the proxy", 0)


async def test_a_proxy_that_says_nothing_is_given_up_in_time(behind: tuple[Proxied, str]) -> None:
    """The tunnel counts as connecting; a plain request that was written may have arrived."""
    bench, scheme = behind
    bench.proxy.mute = True
    kind = NotSent if scheme == "https" else MaybeSent
    request = bench.request(scheme=scheme, host="venue.test")
    await bench.fails(kind, request, connect_s=0.2, timeout_s=0.2)
    assert (bench.begun, bench.peer.requests) == (0 if scheme == "https" else 1, [])


async def test_what_stops_a_request_keeps_the_tunnel(behind: tuple[Proxied, str]) -> None:
    """`before_write` comes after the tunnel, right before the one write."""
    bench, scheme = behind

    def late() -> None:
        raise DeadlinePassed("late")

    request = bench.request(scheme=scheme, host="venue.test")
    await bench.fails(DeadlinePassed, request, before_write=late)
    assert bench.peer.requests == []
    # A handshake has an epilogue of its own (TLS 1.3: tickets), for which a new connection may be thrown away.
    assert (await bench.send(request)).body == b"ok"
    tunnels = len(bench.proxy.heads)
    await bench.fails(DeadlinePassed, request, before_write=late)
    assert (await bench.send(request)).body == b"ok"
    assert (len(bench.peer.requests), len(bench.proxy.heads)) == (2, tunnels)


@pytest.mark.parametrize("method", METHODS)
async def test_a_lost_answer_is_not_asked_for_again(behind: tuple[Proxied, str], method: str) -> None:
    """One write, whatever the method, through a tunnel too."""
    bench, scheme = behind
    bench.peer.script.append(hang)
    request = bench.request(method, scheme=scheme, host="venue.test")
    await bench.fails(MaybeSent, request, timeout_s=0.2)
    assert (bench.begun, len(bench.peer.requests)) == (1, 1)


@contextlib.asynccontextmanager
async def _echoing(certificate: Path) -> AsyncIterator[int]:
    async def echo(request: aiohttp.web.Request) -> aiohttp.web.WebSocketResponse:
        socket = aiohttp.web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(message.data)
        return socket

    app = aiohttp.web.Application()
    app.router.add_get("/feed", echo)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate)
    runner = aiohttp.web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await aiohttp.web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    yield int(runner.addresses[0][1])
    await runner.cleanup()


async def test_a_websocket_goes_through_the_tunnel(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`wss://` goes where `https://` goes."""
    trusting = ssl.create_default_context(cafile=str(certificate))
    monkeypatch.setattr("aiohttp.connector._SSL_CONTEXT_VERIFIED", trusting)
    async with _echoing(certificate) as port, open_proxy(port) as proxy, WebSockets(_proxies(proxy.port)) as sockets:
        socket = await sockets.open(f"wss://venue.test:{port}/feed", timeout_s=5.0)
        await socket.send("hello")
        assert await socket.receive() == "hello"
        await socket.close()
        assert [head.split(b" ")[0] for head in proxy.heads] == [b"CONNECT"]
        proxy.refusal = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
        with pytest.raises(SocketClosed, match="the proxy refused the connection with status 403") as caught:
            await sockets.open(f"wss://venue.test:{port}/feed", timeout_s=5.0)
        assert caught.value.__cause__ is None


async def test_a_websocket_says_that_the_proxy_is_not_there(unused_tcp_port: int) -> None:
    """Without its address."""
    async with WebSockets(_proxies(unused_tcp_port)) as sockets:
        with pytest.raises(SocketClosed, match=r"^no connection to the proxy$"):
            await sockets.open("wss://venue.test/feed", timeout_s=5.0)
