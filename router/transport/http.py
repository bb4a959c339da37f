"""HTTP to the venues; with `router.telemetry.endpoints` and the simulator the only importer of aiohttp.

Whether a failed request may have reached the venue is not guessed from exception types. There is one write, of the
whole request, and `before_write` is the last thing before it, in the same turn of the loop: a failure before that is
`NotSent`, one after it `MaybeSent`. Nothing here writes a request again.

An answer does not name its request, so a connection gets the next one only if the answer to the last one was whole and
nothing came behind it. A venue that hangs up or speaks unasked is noticed up to the moment of the write; what is still
on its way then cannot be told from the answer.

aiohttp connects (names, TLS, happy eyeballs) and parses. Its session is left out: it costs several times as much, sends
GET, PUT and DELETE again by itself, and takes what came in on an idle connection for the next answer. What lies below
the session is private in that it is not documented: `TCPConnector.connect`, a `ClientRequest` as the name of where to,
`HttpResponseParser` and its `StreamReader`. The tests of this module hold them to what is used, on both event loops,
and the version is pinned: a new one is tried by changing it.

A proxy is part of connecting: to an https venue aiohttp opens a tunnel (CONNECT), and what can go wrong there is
`NotSent`. To a plain http venue the request itself goes to the proxy, with the whole URL as its target, in the same one
write.
"""

import asyncio
import os
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

import aiohttp
from aiohttp import hdrs
from aiohttp.client_reqrep import ClientRequest
from yarl import URL

from router.config.proxy import Proxies
from router.errors import MaybeSent, NotSent
from router.transport.causes import in_words
from router.transport.link import FAILURES, Link
from router.transport.names import NameResolver
from router.venue_protocol import Response, SignedRequest

KEEP_ALIVE_S: Final = 12.0
"""Shorter than the venues' own, so that a socket seldom dies under a request."""

_ALWAYS: Final = {hdrs.ACCEPT_ENCODING: "identity", hdrs.USER_AGENT: "order-router"}
_FRAMING: Final = frozenset({"connection", "content-length", "expect", "transfer-encoding", "upgrade"})


class _Origin:
    """One venue's address: what every request to it says, and its connections that nobody uses, the latest last."""

    __slots__ = ("_always", "_before", "_ours", "idle", "where")

    def __init__(self, address: str, proxies: Proxies) -> None:
        url = URL(address, encoded=True)
        if url.scheme not in {"http", "https"} or url.raw_path_qs != "/" or url.raw_fragment:
            raise NotSent("the URL is no HTTP address")
        proxy = proxies.of(url.scheme, url.host or "", url.port or 0)
        self.where = ClientRequest(
            "GET",
            url,
            headers=_ALWAYS,
            loop=asyncio.get_running_loop(),
            proxy=URL(proxy.url) if proxy else None,
            proxy_headers=proxy.headers if proxy else None,
        )
        self.idle: list[Link] = []
        headers = self.where.headers.copy()
        del headers[hdrs.ACCEPT]
        self._before = ""
        """What stands before the path in a request's target."""
        if proxy is not None and url.scheme == "http":
            self._before = f"http://{headers[hdrs.HOST]}"
            headers.update(proxy.headers)
        self._ours = _FRAMING.union(name.lower() for name in headers)  # a password in the URL is an `Authorization`
        self._always = "".join(f"\r\n{name}: {value}" for name, value in headers.items())

    def write_out(self, request: SignedRequest, target: str) -> bytes:
        """Return a request as it goes over the wire. Raises `NotSent` for one that would be read as another."""
        names = {name.lower() for name in request.headers}
        first = f"{request.method} {self._before}{target} HTTP/1.1"
        more = [f"{name}: {value}" for name, value in request.headers.items()]
        if " " in target or "#" in target or not "".join((first, *more)).isprintable():
            raise NotSent("the request has characters that no header and no target can carry")
        if not self._ours.isdisjoint(names):
            raise NotSent("the request brings a header that is not for a venue to sign")
        if "accept" not in names:
            more.append("Accept: */*")
        if request.body or request.method != "GET":
            more.append(f"Content-Length: {len(request.body)}")
            if "content-type" not in names and (request.body or request.method != "DELETE"):
                more.append("Content-Type: application/octet-stream")
        return "\r\n".join((first + self._always, *more, "", "")).encode() + request.body

    def idle_link(self) -> Link | None:
        """Return the connection used last that is still good, and close the others met on the way."""
        while self.idle:
            link = self.idle.pop()
            if link.quiet(KEEP_ALIVE_S):
                return link
            link.close()
        return None


class HttpTransport:
    """Keep-alive connections to every venue, through the proxies that the environment names.

    Use as an async context manager. Raises `ConfigError` for a proxy that cannot be used.
    """

    def __init__(self, proxies: Proxies | None = None) -> None:
        self._proxies = Proxies.read(os.environ) if proxies is None else proxies
        self._connector: aiohttp.TCPConnector | None = None
        self._origins: dict[str, _Origin] = {}
        self._sweeping: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        self._connector = aiohttp.TCPConnector(limit=0, ttl_dns_cache=30, resolver=NameResolver())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        connector, self._connector = self._connector, None
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None
        if connector is not None:
            await connector.close()
        for origin in self._origins.values():
            while origin.idle:
                origin.idle.pop().close()

    async def send(
        self, request: SignedRequest, *, timeout_s: float, connect_s: float, before_write: Callable[[], None]
    ) -> Response:
        """Send one request, once. See `router.ports.Transport`."""
        origin: _Origin | None = None
        link: Link | None = None
        maybe_sent = False
        try:
            origin, target = self._origin(request.url)
            data = origin.write_out(request, target)
            link = origin.idle_link() or await self._connect(origin, connect_s)
            before_write()
            maybe_sent = True
            return await link.exchange(data, timeout_s)
        except TimeoutError:
            why = "no answer in time" if maybe_sent else "no connection in time"
        except FAILURES as failure:
            why = in_words(failure, request.url)
        finally:
            if origin is not None and link is not None:
                self._let_go(origin, link)
        raise (MaybeSent if maybe_sent else NotSent)(why)

    def _origin(self, url: str) -> tuple[_Origin, str]:
        """Return whom a URL addresses, and what it asks for there, as it stands."""
        scheme, _, rest = url.partition("://")
        host, slash, path = rest.partition("/")
        address = f"{scheme}://{host}"
        if address not in self._origins:
            self._origins[address] = _Origin(address, self._proxies)
        return self._origins[address], slash + path or "/"

    async def _connect(self, origin: _Origin, connect_s: float) -> Link:
        if self._connector is None:
            raise NotSent("the transport is closed")
        async with asyncio.timeout(connect_s):
            connection = await self._connector.connect(origin.where, [], aiohttp.ClientTimeout())
        return Link(connection)

    def _let_go(self, origin: _Origin, link: Link) -> None:
        """Keep a connection for the next request, or close it. One that nothing was written to is as good as new.

        Were that thrown away, a venue so far off that connecting outlasts a signature could never be reached.
        """
        if not link.reusable():
            link.close()
            return
        loop = asyncio.get_running_loop()
        link.idle_since = loop.time()
        origin.idle.append(link)
        if self._sweeping is None:
            self._sweeping = loop.call_later(KEEP_ALIVE_S, self._sweep)

    def _sweep(self) -> None:
        """Close what has been idle for too long; look again as long as anything is."""
        self._sweeping = None
        for origin in self._origins.values():
            for link in [link for link in origin.idle if not link.quiet(KEEP_ALIVE_S)]:
                origin.idle.remove(link)
                link.close()
        if any(origin.idle for origin in self._origins.values()):
            self._sweeping = asyncio.get_running_loop().call_later(KEEP_ALIVE_S, self._sweep)
