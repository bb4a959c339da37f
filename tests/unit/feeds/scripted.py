"""A venue that a test scripts: a stream that says what it is told, a socket in memory, a journal on a disk."""

import asyncio
from collections.abc import AsyncIterator, Callable, Generator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar

from router.access.configured import Account, Venue
from router.access.limiter import Limiter
from router.access.reads import Reader
from router.clock import SystemClock
from router.commands.evidence import Settler
from router.errors import PublishFailed, SocketClosed
from router.feeds import Copies, FedAccount, FeedParts, Feeds
from router.journal import open_journal
from router.records.event import Copy, StoredEvent
from router.telemetry import Metrics
from router.venue_protocol import Options, Request, Response, Stamp
from router.venue_protocol.stream import Ask, Broken, Change, Changes, Connect, Known, Missed, Ready, Say, Stream, Want
from schemas.events import FeedStatus, OrderEvent

TOKEN = Request(method="POST", path="/token", endpoint="token")


class MemorySocket:
    """One end of a socket; the test holds the other."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.incoming: asyncio.Queue[str | None] = asyncio.Queue()
        self.closed = False

    async def send(self, text: str) -> None:
        """Keep what the stream says."""
        self.said.append(text)

    async def receive(self) -> str:
        """Wait for a frame of the test; `None` is the end."""
        frame = await self.incoming.get()
        if frame is None:
            raise SocketClosed("closed with code 1006")
        return frame

    async def close(self) -> None:
        """Note the end."""
        self.closed = True


class MemorySockets:
    """Opens sockets in memory; while `refuse` is set it opens none."""

    def __init__(self) -> None:
        self.opened: list[MemorySocket] = []
        self.refuse = False

    async def open(self, url: str, *, timeout_s: float) -> MemorySocket:
        """Open one."""
        if self.refuse:
            raise SocketClosed("the handshake was answered 503")
        self.opened.append(MemorySocket())
        return self.opened[-1]


class ScriptedStream:
    """Asks for a token, connects, says two things, is ready. A frame is an order id and a filled size of 1."""

    def begin(self, stamp: Stamp) -> Sequence[Want]:
        """Ask for a token."""
        return [Ask(TOKEN)]

    def answered(self, request: Request, response: Response | None, stamp: Stamp) -> Sequence[Want]:
        """Connect with it."""
        if response is None:
            return [Broken("no token")]
        return [Connect("memory://" + response.body.decode())]

    def opened(self, stamp: Stamp) -> Sequence[Want]:
        """Subscribe."""
        return [Say("one", pace_s=0.05), Say("two", pace_s=0.05), Ready()]

    def heard(self, frame: str | bytes, stamp: Stamp) -> Sequence[Want]:
        """Translate `order filled`; `broken` breaks."""
        if frame == "broken":
            return [Broken("the venue said so")]
        order_id, _, filled = str(frame).partition(" ")
        return [Changes((change(order_id, filled),))]

    def tick(self, stamp: Stamp) -> Sequence[Want]:
        """Want nothing."""
        return []

    def end(self, stamp: Stamp) -> Sequence[Want]:
        """Give the token back."""
        return [Say("never said"), Ask(Request(method="DELETE", path="/token", endpoint="token"))]


class ScriptedVenue:
    """The exchange, its REST side and its feed. `shown` is what a reconciliation finds."""

    poll_s: ClassVar[tuple[float, float] | None] = None
    read_pauses: ClassVar[dict[int, float]] = {}

    def __init__(self) -> None:
        self.shown: list[Change] = []
        self.known: list[Known] = []
        self.requests: list[Request] = []
        self.failing = self.denied = False

    def stream(self, secrets: Any) -> Stream | None:
        """Begin a connection."""
        return ScriptedStream()

    def reconcile(self, known: Known) -> Generator[Request, Response, Missed]:
        """Show what the test put there."""
        self.known.append(known)
        answer = yield Request(method="GET", path="/orders", endpoint="orders")
        complete = answer.status == 200 and not self.denied
        return Missed(changes=tuple(self.shown), complete=complete, denied=self.denied)

    async def send(self, request: Any, **_: Any) -> Response:
        """Answer as the venue's REST side."""
        self.requests.append(request)
        return Response(503 if self.failing else 200, {}, b"token")


class Listener:
    """The broker: keeps what is published. While `down`, it confirms nothing."""

    def __init__(self) -> None:
        self.heard: list[OrderEvent | FeedStatus] = []
        self.down = False
        self.fail_once: set[int] = set()

    async def publish_event(self, stored: StoredEvent) -> None:
        """Hear an event."""
        await self._publish(stored.event)

    async def publish_copy(self, event: OrderEvent, copy: Copy) -> None:
        """Hear nothing twice."""

    async def publish_status(self, status: FeedStatus) -> None:
        """Hear a status."""
        await self._publish(status)

    async def _publish(self, message: OrderEvent | FeedStatus) -> None:
        await asyncio.sleep(0)
        if self.down:
            raise PublishFailed("not confirmed")
        if isinstance(message, OrderEvent) and message.seq in self.fail_once:
            self.fail_once.remove(message.seq)
            raise PublishFailed("not confirmed")
        self.heard.append(message)

    @property
    def events(self) -> list[OrderEvent]:
        """The events, as heard."""
        return [message for message in self.heard if isinstance(message, OrderEvent)]

    @property
    def story(self) -> list[str]:
        """Everything in one word each: a status, or `order:filled`."""
        return [
            message.status if isinstance(message, FeedStatus) else f"{message.order_id}:{message.filled_size}"
            for message in self.heard
        ]


class World:
    """One process's feeds of one scripted account."""

    def __init__(self, journal: Any, venue: ScriptedVenue, listener: Listener, lease_s: float) -> None:
        self.journal = journal
        self.venue = venue
        self.listener = listener
        self.sockets = MemorySockets()
        clock, metrics = SystemClock(), Metrics()
        dispatcher: Any = None
        relay: Any = None
        settler = Settler(dispatcher, journal, relay, clock)
        made = Venue(
            name="gmo_coin",
            adapter=venue,  # type: ignore[arg-type]  # of the exchange only the feed is used
            options=Options(rest_url="http://venue"),
            accounts={"main": Account("main", lambda request, _: request)},  # type: ignore[arg-type, return-value]  # not signed
            limiter=Limiter((), clock),
        )
        transport: Any = venue
        parts = FeedParts(
            journal=journal,
            publisher=listener,
            copies=Copies(listener, clock),
            settler=settler,
            reader=Reader(transport, clock, metrics),
        )
        fed = FedAccount(venue=made, account=made.accounts["main"], feed=venue, secrets=None)
        self.feeds = Feeds({("gmo_coin", "main"): fed}, parts, self.sockets, lease_s=lease_s)
        self.task = asyncio.create_task(self.feeds.run())

    @property
    def socket(self) -> MemorySocket:
        """The newest socket."""
        return self.sockets.opened[-1]

    def report(self, frame: str | None) -> None:
        """Let the venue say something; `None` ends the connection."""
        self.socket.incoming.put_nowait(frame)

    async def until(self, holds: Callable[[], bool], within_s: float = 10.0) -> None:
        """Wait for a condition while the feeds run."""
        async with asyncio.timeout(within_s):
            while not holds():
                if self.task.done():
                    self.task.result()
                await asyncio.sleep(0.005)

    async def end(self) -> None:
        """Stop as SIGTERM does."""
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task


@asynccontextmanager
async def world(
    directory: Path, *, venue: ScriptedVenue | None = None, listener: Listener | None = None, lease_s: float = 1.5
) -> AsyncIterator[World]:
    """Run the feeds of a process with a journal of its own connection."""
    async with await open_journal(f"sqlite:///{directory}/journal.db") as journal:
        made = World(journal, venue or ScriptedVenue(), listener or Listener(), lease_s)
        try:
            yield made
        finally:
            await made.end()


def change(order_id: str, filled: str, **fields: Any) -> Change:
    """A report of an order of size 10."""
    return Change(**{"order_id": order_id, "symbol": "BTC_JPY", "size": "10", "filled_size": filled, **fields})
