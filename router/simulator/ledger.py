"""The venue's own record of what reached it and what it did: the oracle that tests believe.

Kinds of entry:

    request        a request arrived, whatever became of it
    execution      a request made the venue act: a close order exists because of it
    cancel         a request made the venue cancel a live order
    replayed       a request that changed nothing because an earlier one already did
    fill           a trade
    refused        the venue said no
    throttled      the venue said no because of its rate limit
    bad_signature  the venue said no because of key, signature or timestamp
    fault          a scripted fault was used up by this request, or by a frame of a feed
    feed           what became of a connection to a private feed: connected, subscribed, disconnected …

So `count("execution", position_id="1000342") <= 1` says that a position was closed at most once.
"""

import asyncio
from collections import Counter
from typing import Literal

import msgspec
from msgspec import Struct

EntryKind = Literal[
    "request", "execution", "cancel", "replayed", "fill", "refused", "throttled", "bad_signature", "fault", "feed"
]


class Origin(Struct, frozen=True, kw_only=True):
    """The request an entry stems from, without its secrets. `endpoint` is `market` when no request caused it,
    and `feed` for what a private feed does."""

    endpoint: str
    account: str = ""
    method: str = ""
    path: str = ""
    query: str = ""
    body_sha256: str = ""


class Subject(Struct, frozen=True, kw_only=True):
    """What an entry is about; empty where the request does not say."""

    client_order_id: str = ""
    order_id: str = ""
    position_id: str = ""
    symbol: str = ""
    size: str = ""
    price: str = ""


class Entry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of the ledger. `seq` counts from 1, `at_ms` is the simulator's clock, `note` a code or a fault."""

    seq: int
    at_ms: int
    kind: EntryKind
    endpoint: str
    account: str = ""
    method: str = ""
    path: str = ""
    query: str = ""
    body_sha256: str = ""
    client_order_id: str = ""
    order_id: str = ""
    position_id: str = ""
    symbol: str = ""
    size: str = ""
    price: str = ""
    note: str = ""

    def matches(self, match: dict[str, str]) -> bool:
        """Say whether every named field has the wanted value."""
        return all(getattr(self, name) == value for name, value in match.items())


class Ledger:
    """Append-only until `clear`."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.arrivals: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self._waiters: list[asyncio.Future[None]] = []

    def add(self, kind: EntryKind, origin: Origin, subject: Subject, *, at_ms: int, note: str = "") -> None:
        """Append an entry and wake whoever waits for one."""
        facts = msgspec.structs.asdict(origin) | msgspec.structs.asdict(subject)
        self.entries.append(Entry(seq=len(self.entries) + 1, at_ms=at_ms, kind=kind, note=note, **facts))
        self.kinds[kind] += 1
        if kind == "request":
            self.arrivals[origin.endpoint] += 1
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def select(self, kind: EntryKind | None = None, **match: str) -> list[Entry]:
        """Return the entries of a kind whose fields match; a field that does not exist raises `AttributeError`."""
        return [entry for entry in self.entries if kind in {None, entry.kind} and entry.matches(match)]

    def count(self, kind: EntryKind | None = None, **match: str) -> int:
        """Return how many entries `select` would."""
        return len(self.select(kind, **match))

    async def wait(
        self, kind: EntryKind | None = None, *, count: int = 1, timeout_s: float = 5.0, **match: str
    ) -> list[Entry]:
        """Return the matching entries as soon as there are `count`. Raises `TimeoutError`."""
        found: list[Entry] = []
        read = 0
        async with asyncio.timeout(timeout_s):
            while True:
                fresh, read = self.entries[read:], len(self.entries)
                found += [entry for entry in fresh if kind in {None, entry.kind} and entry.matches(match)]
                if len(found) >= count:
                    return found
                waiter = asyncio.get_running_loop().create_future()
                self._waiters.append(waiter)
                await waiter

    def clear(self) -> None:
        """Forget everything."""
        self.entries.clear()
        self.arrivals.clear()
        self.kinds.clear()
