"""Host names to addresses, each lookup in a thread of its own.

The system's lookup cannot be stopped, and can take half a minute when no name server answers. In a pool that all share
a few such hosts would keep every other host's lookup waiting, and in this program a name that cannot be found must cost
its own venue only.
"""

import asyncio
import socket
import threading
from typing import Any, Final

from aiohttp.abc import AbstractResolver, ResolveResult

LOOKUP_S: Final = 10.0
"""A lookup that takes longer has failed, and the next one for the host may begin."""

_Found = list[tuple[Any, ...]]
"""As `socket.getaddrinfo` returns it: family, kind, protocol, canonical name, address."""


class NameResolver(AbstractResolver):
    """See `aiohttp.abc.AbstractResolver`. The connector asks for one host at most once at a time, and keeps answers."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return a host's addresses. Raises `OSError`, also when that takes too long."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[_Found] = loop.create_future()

        def tell(found: _Found | None, error: BaseException | None) -> None:
            if answer.done():
                return
            if found is not None:
                answer.set_result(found)
            else:
                answer.set_exception(error or OSError("no answer"))

        def look_up() -> None:
            found: _Found | None = None
            failure: Exception | None = None
            try:
                found = [*socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, 0, socket.AI_ADDRCONFIG)]
            except (OSError, ValueError) as error:  # a name that is none is a ValueError (UnicodeError)
                failure = error
            try:
                loop.call_soon_threadsafe(tell, found, failure)
            except RuntimeError:
                return  # the loop has ended, and with it whoever asked

        threading.Thread(target=look_up, name="name lookup", daemon=True).start()
        try:
            async with asyncio.timeout(LOOKUP_S):
                found = await answer
        except TimeoutError:
            raise OSError(f"no name server answered within {LOOKUP_S:g} s") from None
        return [_result(host, port, family, proto, address) for family, _, proto, _, address in found]

    async def close(self) -> None:
        """Do nothing: lookups that run on keep nobody from ending."""


def _result(host: str, port: int, family: int, proto: int, address: tuple[Any, ...]) -> ResolveResult:
    # A link-local IPv6 address means something on one interface only.
    zone = f"%{address[3]}" if len(address) == 4 and address[3] else ""
    return ResolveResult(
        hostname=host,
        host=f"{address[0]}{zone}",
        port=port,
        family=family,
        proto=proto,
        flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    )
