"""Read at a venue: a signed request under its limits, and flows of them whose equal reads are shared.

Reads come last: whatever acts has its turn under the limits first. A read may be sent again at any time.
"""

import asyncio
from collections.abc import Generator
from functools import partial
from typing import Final, TypeVar

from msgspec import Struct

from router.access.configured import Account, Venue
from router.access.windows import Priority, Turn
from router.errors import NotSent
from router.ports import Clock, Transport
from router.telemetry import Metrics
from router.venue_protocol import Request, Response, retry_after_s

PLACE_S: Final = 2.0
"""How long a read waits for its turn under a limit."""

T = TypeVar("T")


class Reader(Struct, frozen=True):
    """Sends reads: signed with the venue's time, limited, measured."""

    transport: Transport
    clock: Clock
    metrics: Metrics

    async def send(self, venue: Venue, account: Account, request: Request, *, wait_s: float = PLACE_S) -> Response:
        """Return the venue's answer. Raises `SendError`; `NotSent` also when no place is free within `wait_s`."""
        turn: Turn | float | None = venue.limiter.take(account.name, request.scopes, Priority.READ)
        if turn is None:
            turn = await venue.limiter.wait(account.name, request.scopes, Priority.READ, wait_s)
        if isinstance(turn, float):
            raise NotSent("no turn under the rate limit for a read")
        asked_us = self.clock.boot_us()
        signed = account.sign(request, account.stamp(venue.time_us(self.clock)))
        timeout_s = venue.options.timeout_s
        with self.metrics.venue_request(venue.name, request.endpoint) as seen:
            answer = await self.transport.send(
                signed, timeout_s=timeout_s, connect_s=timeout_s, before_write=partial(_leave, turn)
            )
            turn.answered()
            seen.status = answer.status
        if answer.status >= 400:
            self.metrics.venue_error(venue.name, request.endpoint, f"http_{answer.status // 100}xx")
        venue.heard(answer, asked_us, self.clock, self.metrics)
        pause_s = venue.adapter.read_pauses.get(answer.status)
        if pause_s is not None:  # at some venues who goes on reading is banned, and cannot cancel either
            pause_s = max(pause_s, retry_after_s(answer, pause_s))
            venue.limiter.block(account.name, request.scopes, pause_s, ban=True)
        return answer


def _leave(turn: Turn) -> None:
    if not turn.leave():
        raise NotSent("the turn of a read under the rate limit has passed")


class Reads:
    """One round of reads: each is sent once, whichever flows ask for it, and none before the round began."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._begun: dict[tuple[str, str, Request], asyncio.Task[Response]] = {}

    def __len__(self) -> int:
        """Return how many different reads were made so far."""
        return len(self._begun)

    async def run(
        self,
        venue: Venue,
        account: Account,
        flow: Generator[Request, Response, T],
        *,
        answered: list[int] | None = None,
        wait_s: float = PLACE_S,
    ) -> T:
        """Drive a flow to its end; note the status of every answer. Raises `SendError` when a read has none."""
        try:
            request = next(flow)
            while True:
                response = await self._read(venue, account, request, wait_s)
                if answered is not None:
                    answered.append(response.status)
                request = flow.send(response)
        except StopIteration as stop:
            found: T = stop.value
            return found

    async def _read(self, venue: Venue, account: Account, request: Request, wait_s: float) -> Response:
        key = (venue.name, account.name, request)
        if key not in self._begun:
            sending = self._reader.send(venue, account, request, wait_s=wait_s)
            read = asyncio.create_task(sending, name=f"read {request.endpoint}")
            read.add_done_callback(_taken_note_of)
            self._begun[key] = read
        return await asyncio.shield(self._begun[key])


def _taken_note_of(read: "asyncio.Task[Response]") -> None:
    """Say nothing of a read that fails when nobody waits for it any more."""
    if not read.cancelled():
        read.exception()
