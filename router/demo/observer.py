"""Looks over the shoulders of the simulators: what reached them for a command, and what they said."""

import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from msgspec import Struct

from router.simulator import Simulators
from router.simulator.call import Endpoint
from router.simulator.venue import VenueSimulator

_ORDINARY: Final = frozenset(
    {"accept", "accept-encoding", "connection", "content-length", "content-type", "host", "user-agent"}
)
Serve = Callable[[Endpoint, Any], Awaitable[Any]]
"""`VenueSimulator.serve`. Only the simulators name the types of their HTTP server."""


class Exchanged(Struct, frozen=True, kw_only=True):
    """One request that acts, and its answer. `headers` are the names of those that sign it, never their values."""

    method: str
    path: str
    headers: tuple[str, ...]
    status: int
    code: str
    ms: float

    @property
    def request(self) -> str:
        """Say what was sent."""
        return f"{self.method} {self.path} [{', '.join(self.headers)}]"

    @property
    def answer(self) -> str:
        """Say what came back."""
        return f"{self.status} {self.code}".rstrip()


class Observer:
    """Notes every close and cancel that the simulators answer. Make it before they start."""

    def __init__(self, simulators: Simulators) -> None:
        self.seen: dict[str, list[Exchanged]] = {}
        for venue, simulator in simulators.venues.items():
            self._watch(simulator, self.seen.setdefault(venue, []))

    def _watch(self, simulator: VenueSimulator, seen: list[Exchanged]) -> None:
        serve: Serve = simulator.serve

        async def watched(endpoint: Endpoint, http: Any) -> Any:
            began = time.perf_counter()
            answer = await serve(endpoint, http)
            if endpoint.action in {"close", "cancel"}:
                names = tuple(str(name) for name in http.headers if name.lower() not in _ORDINARY)
                body = getattr(answer, "body", None)
                seen.append(
                    Exchanged(
                        method=http.method,
                        path=http.path,
                        headers=names,
                        status=answer.status,
                        code=code_of(body if isinstance(body, bytes) else b""),
                        ms=(time.perf_counter() - began) * 1000,
                    )
                )
            return answer

        simulator.serve = watched  # type: ignore[method-assign]  # a witness, not another venue


def code_of(body: bytes) -> str:
    """Return the word with which a venue says yes or no; empty when the body has none."""
    try:
        content: Any = msgspec.json.decode(body)
        # Coinbase answers a cancel with a list, one row for each order.
        content = content.get("results", [content])[0] if isinstance(content, dict) else {}
        word = next(f"{name} {content[name]}" for name in ("status", "code", "success") if name in content)
    except (msgspec.DecodeError, LookupError, TypeError, AttributeError, StopIteration):
        return ""
    return word.lower()
