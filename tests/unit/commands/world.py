"""Everything around the core, under one roof: a broker, venues, journals, time, and workers that may die.

A `World` is driven from synchronous tests: `publish`, `run`, `until`. Each `Core` is wired as `app.worker` wires a
worker, over the real SQLite journal.
"""

import asyncio
import contextvars
import sqlite3
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar
from weakref import WeakSet

from router.access.configured import Account, Venue
from router.access.limiter import Limiter
from router.access.reads import Reader
from router.app.marks import Marks
from router.clock import to_time
from router.commands.dispatch import Dispatcher
from router.commands.overdue import Overdue
from router.commands.plan import Planner
from router.commands.refusals import Refusals
from router.commands.relay import ResultRelay
from router.commands.resolver import Resolver
from router.commands.suspects import Suspects
from router.commands.worker import Worker
from router.config import SenderPolicy
from router.errors import BrokerUnavailable, JournalUnavailable
from router.records.command import CommandRecord
from router.telemetry import Metrics
from router.venue_protocol import Accepted, Limit, Options, Secrets
from schemas.codec import encode_command
from schemas.commands import Cancel, Close, Command
from schemas.ids import client_order_id
from schemas.results import Result
from tests.unit.commands.fake_broker import Connection, FakeBroker, FakePublisher, FakeWitness, Heard, Message
from tests.unit.commands.fake_venue import FakeAdapter, FakeTransport, FakeVenue
from tests.unit.commands.steady_journal import SteadyJournal, blank
from tests.unit.commands.virtual_time import BEGAN_US, Host, ProcessClock, VirtualClock, VirtualLoop, owner

TIMEOUT_S = 2.0
WINDOW_S = 2.0
QUARANTINE_S = TIMEOUT_S + WINDOW_S + 5.0
RESOLVE_FOR_S = 60.0
MAX_HORIZON_S = 300.0
FED_S = 5.0
"""How long `feed` waits for a worker that may have died."""
STEP_S = 0.25
"""How often `until` looks."""
SENDER = "alpha"

T = TypeVar("T")

_metrics = Metrics(venues=("acme", "echo"))


class Copy(NamedTuple):
    """A copy of the journal, the note beside it, and which marks are in it."""

    journal: bytes
    note: bytes
    marks: frozenset[str]


class Core:
    """One worker process: its parts, its tasks, its clocks, and its death."""

    def __init__(self, world: "World", number: int) -> None:
        self.number = number
        self.alive = True
        self.frozen = False
        self.ended: BaseException | None = None
        """What a part that must run has ended with."""
        self.points: list[str] = []
        """Every place so far where the process might have died."""
        self.dies_at: int | None = None
        self.tasks: WeakSet[asyncio.Task[Any]] = WeakSet()
        self.clock = ProcessClock(world.loop, world.host)
        self._world = world

    async def start(self, *, witnessed: bool) -> None:
        """Wire the parts and set them going, as `router.app.worker` does."""
        world, clock = self._world, self.clock
        owner.set(self)
        self.journal = journal = SteadyJournal(world.path, clock, self.at, world.settled, witnessed=witnessed)
        self.venues = {name: world.configure(name, clock) for name in world.venues}
        self.transport = FakeTransport(world.venues, self.at)
        self.publisher = publisher = FakePublisher(world.broker, self.at)
        self.relay = ResultRelay(journal, publisher, clock, _metrics)
        self.overdue = Overdue(journal, self.relay, clock)
        self.marks = Marks(journal, FakeWitness(world.broker, self.at), clock)
        reader = Reader(self.transport, clock, _metrics)
        self.dispatcher = Dispatcher(self.venues, journal, reader, resolve_for_s=world.resolve_for_s)
        self.resolver = Resolver(self.dispatcher, journal, self.relay, resolve_for_s=world.resolve_for_s)
        self.worker = Worker(
            planner=Planner(self.venues, journal, clock, max_horizon_s=MAX_HORIZON_S),
            dispatcher=self.dispatcher,
            journal=journal,
            relay=self.relay,
            overdue=self.overdue,
            suspects=Suspects(journal, clock),
            refusals=Refusals(
                relay=self.relay,
                dead_letters=publisher,
                journal=journal,
                clock=clock,
                metrics=_metrics,
                senders=world.senders,
            ),
            clock=clock,
            metrics=_metrics,
            senders=world.senders,
            cancel_without_journal=world.cancel_without_journal,
        )
        self.context = contextvars.copy_context()
        self.connection: Connection | None = None
        parts = (self.resolver.run, self.relay.run, self.overdue.run, self.marks.run, self._consume)
        self._parts = [asyncio.create_task(run(), name=run.__qualname__) for run in parts]
        for part in self._parts:
            part.add_done_callback(self._part_ended)

    async def at(self, point: str) -> None:
        """Be somewhere where the process might die, if it has a name. Once it has, nothing of it gets any further."""
        if not self.alive:
            raise asyncio.CancelledError
        if not point:
            return
        self.points.append(point)
        if self.dies_at is not None and len(self.points) > self.dies_at:
            self._end()
            await asyncio.get_running_loop().create_future()

    @property
    def free(self) -> bool:
        """Whether the broker may deliver to it."""
        consumes = self.alive and not self.frozen and self.connection is not None
        return consumes and self.connection is not None and not self.connection.full

    def deliver(self, message: Message) -> None:
        """Hand a message to the worker, in the worker's own context."""
        assert self.connection is not None
        self.context.run(self.connection.deliver, message, self.at)

    def reconnect(self) -> None:
        """Lose the connections to the broker and get new ones."""
        self.disconnect()
        self.publisher.cut()
        self.connection = self._connect()

    def disconnect(self) -> None:
        """Lose the connection that consumes."""
        if self.connection is not None:
            self.connection.cut()
            self.connection = None

    def freeze(self) -> None:
        """Stop, as SIGSTOP does or a machine that sleeps: nothing of it runs, and time goes on."""
        self.frozen = True
        self._world.loop.freeze(self)

    def thaw(self) -> None:
        """Go on."""
        self.frozen = False
        now = self._world.clock.now_us()
        self._world.journal_away(now, now + 1_500_000)  # what it knows of its journal is as old as its sleep
        self._world.loop.thaw(self)
        self._world.broker.stirred.set()

    async def _consume(self) -> None:
        """Consume once the journal is certified, and never end."""
        while True:
            try:
                await self.marks.certify()
                break
            except (BrokerUnavailable, JournalUnavailable):
                await self.clock.sleep(0.5)
        self.connection = self._connect()
        await asyncio.get_running_loop().create_future()

    def _connect(self) -> Connection:
        self._world.broker.stirred.set()
        return Connection(self._world.broker, self.worker.take, self._world.prefetch)

    def _part_ended(self, task: asyncio.Task[None]) -> None:
        if self.alive and not task.cancelled():
            self.ended = task.exception() or RuntimeError(f"{task.get_name()} returned")
            self._world.ended.append(self.ended)
            self._end()

    def _end(self) -> None:
        self.alive = False
        self._world.broker.stirred.set()


class World:
    """The outside of one or more workers on one journal."""

    def __init__(
        self,
        directory: Path,
        *,
        limits: tuple[Limit, ...] = (),
        senders: Mapping[str, SenderPolicy] | None = None,
        resolve_for_s: float = RESOLVE_FOR_S,
        timeout_s: float = TIMEOUT_S,
        window_s: float = WINDOW_S,
        quarantine_s: float | None = None,
        cancel_without_journal: bool = True,
        prefetch: int = 64,
    ) -> None:
        self.loop = VirtualLoop()
        self.loop.set_task_factory(_owned)
        self.host = Host()
        self.clock = VirtualClock(self.loop)
        """The true time."""
        self.outside = contextvars.Context()
        """No process's context: for what happens whatever becomes of them."""
        self.broker = FakeBroker(self.clock)
        self.acme = FakeVenue(self.clock)
        """A venue that executes every close it gets."""
        self.echo = FakeVenue(self.clock, recognises_repeats=True)
        """A venue that recognises a close it has seen."""
        self.venues = {"acme": self.acme, "echo": self.echo}
        self.recognises_repeats = {"echo"}
        """What workers started from now on believe of these venues."""
        self.accounts: tuple[str, ...] = ("main", "other")
        """What they are configured with."""
        self.senders = senders or {}
        self.resolve_for_s = resolve_for_s
        self.timeout_s, self.window_s, self.quarantine_s = timeout_s, window_s, quarantine_s
        self.cancel_without_journal = cancel_without_journal
        self.prefetch = prefetch
        self.cores: list[Core] = []
        self.ended: list[BaseException] = []
        """What parts that must run have ended with."""
        self.settled_us: dict[tuple[str, str], int] = {}
        """When a command's final result was stored at the earliest, by sender and command id; true time."""
        self._troubles: list[tuple[int, int, str | None]] = []
        self._away: list[tuple[int, int]] = []
        self.restored_us: list[int] = []
        """When the journal was put back."""
        self.path = directory / "journal.db"
        self.path.write_bytes(blank())
        self._limits = limits
        self._born = self._turn = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for core in list(self.cores):
            self._do(self._bury(core))
        self.loop.close()

    def configure(self, name: str, clock: ProcessClock) -> Venue:
        """Return a venue as a worker knows it."""
        adapter = FakeAdapter(name, recognises_repeats=name in self.recognises_repeats)
        options = Options(
            rest_url=f"https://{name}",
            timeout_s=self.timeout_s,
            timestamp_window_s=self.window_s,
            quarantine_s=self.quarantine_s,
        )
        signer = adapter.signer(Secrets(api_key="key", api_secret="secret"))
        accounts = {account: Account(account, signer) for account in self.accounts}
        limiter = Limiter(self._limits, clock)
        return Venue(name=name, adapter=adapter, options=options, accounts=accounts, limiter=limiter)

    def start(self, *, witnessed: bool = True) -> Core:
        """Start a worker."""
        return self._do(self._begin(witnessed))

    def kill(self, core: Core) -> None:
        """End a worker as a crash does: nothing of it runs any more, what it had not acknowledged comes back."""
        self._do(self._bury(core))

    def run(self, seconds: float) -> None:
        """Let time pass; deliver what is in the queue, and bury workers that die."""
        self._do(self._pass(seconds))

    def until(self, holds: Callable[[], Any], limit_s: float = 900.0) -> None:
        """Run until a condition holds."""
        ends = self.loop.elapsed_s + limit_s
        while not holds():
            assert self.loop.elapsed_s < ends, "it did not come to pass"
            self.run(STEP_S)

    def publish(self, command: Command, **properties: Any) -> Message:
        """Publish a command as its sender would, under its own routing key."""
        key = f"{command.venue}.{command.account}.{command.__struct_config__.tag}"
        return self.publish_raw(
            encode_command(command),
            **{"routing_key": key, "venue": command.venue, "correlation_id": command.command_id, **properties},
        )

    def publish_raw(self, body: bytes, **properties: Any) -> Message:
        """Publish any bytes."""
        known: dict[str, Any] = {
            "routing_key": "acme.main.close",
            "venue": "acme",
            "sender": SENDER,
            "reply_to": "alpha.results",
            "correlation_id": "",
            "message_id": f"message {len(self.broker.messages)}",
            "sent_us": self.clock.now_us(),
        }
        return self.broker.put(Message(body=body, **{**known, **properties}))

    def close(self, command_id: str = "c1", *, ttl_s: float = 30.0, **fields: Any) -> Close:
        """Return a close of position `p1` at acme."""
        not_after = to_time(self.clock.now_us() + round(ttl_s * 1e6))
        known: dict[str, Any] = {"venue": "acme", "account": "main", "symbol": "BTC", "position_id": "p1"}
        return Close(command_id=command_id, not_after=not_after, **{**known, **fields})

    def cancel(self, command_id: str = "x1", *, ttl_s: float = 30.0, **fields: Any) -> Cancel:
        """Return a cancel at acme; of the order `rest-1` unless a target is named."""
        not_after = to_time(self.clock.now_us() + round(ttl_s * 1e6))
        known: dict[str, Any] = {"venue": "acme", "account": "main"}
        if "target_command_id" not in fields:
            known["order_id"] = "rest-1"
        return Cancel(command_id=command_id, not_after=not_after, **{**known, **fields})

    def heard(self, command_id: str, sender: str = SENDER) -> list[Heard]:
        """Return every result of a command, in the order of arrival."""
        return [h for h in self.broker.heard if (h.sender, h.result.command_id) == (sender, command_id)]

    def heard_by(self, message: Message) -> list[Heard]:
        """Return every result that came to a message's own address."""
        address = (message.sender, message.reply_to, message.correlation_id)
        return [h for h in self.broker.heard if (h.sender, h.reply.reply_to, h.reply.correlation_id) == address]

    def results(self, command_id: str, sender: str = SENDER) -> list[Result]:
        """Return every result of a command, in the order of arrival."""
        return [heard.result for heard in self.heard(command_id, sender)]

    def final(self, command_id: str, limit_s: float = 900.0) -> Result:
        """Run until a command has its final result and return it."""
        self.until(lambda: any(result.final for result in self.results(command_id)), limit_s)
        return next(result for result in self.results(command_id) if result.final)

    def sleep(self, seconds: float) -> None:
        """Let the machine sleep, with every process on it."""
        for core in self.cores:
            core.freeze()
        self.run(seconds)
        for core in self.cores:
            core.thaw()

    def reboot(self) -> None:
        """Start the machine again. No process lives on; start new ones."""
        for core in list(self.cores):
            self.kill(core)
        self.host.reboot(round(self.loop.elapsed_s * 1e6))

    def copy(self) -> Copy:
        """Copy the journal as it is now, with the note beside it."""
        connection = sqlite3.connect(self.path)
        try:
            busy, _, _ = connection.execute("pragma wal_checkpoint(truncate)").fetchone()
            assert not busy
            marks = frozenset(mark for (mark,) in connection.execute("select id from marks"))
            return Copy(self.path.read_bytes(), self._note.read_bytes(), marks)
        finally:
            connection.close()

    def put_back(self, copy: Copy) -> None:
        """Put the journal back to an earlier state, byte for byte and into the same inodes.

        Processes that live on find that they cannot write, and open the file again.
        """
        for core in self.cores:
            core.journal.fault = "down"
        for suffix in ("-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        for path, content in ((self.path, copy.journal), (self._note, copy.note)):
            with path.open("r+b") as file:
                file.truncate()
                file.write(content)
        self.restored_us.append(self.clock.now_us())
        for core in self.cores:
            core.journal.fault = None

    def noticed(self, copy: Copy) -> bool:
        """Say whether the witness would tell that this copy was put back."""
        return any(mark.id not in copy.marks for mark in self.broker.marks)

    def trouble(self, from_us: int, until_us: int, reply_to: str | None = None) -> None:
        """Note that nobody could be answered for a while, or only one reply queue's senders could not."""
        self._troubles.append((from_us, until_us, reply_to))

    def troubled(self, from_us: int, until_us: int, reply_to: str) -> bool:
        """Say whether something kept one queue's senders from being answered in that time."""
        return any(
            begin <= until_us and end >= from_us and queue in {None, reply_to} for begin, end, queue in self._troubles
        )

    def journal_away(self, from_us: int, until_us: int) -> None:
        """Note that the journal failed, or was slow."""
        self._away.append((from_us, until_us))

    def journal_was_away(self, at_us: int) -> bool:
        """Say whether it did."""
        return any(begin <= at_us <= end for begin, end in self._away)

    def journal_was_away_between(self, from_us: int, until_us: int) -> bool:
        """Say whether it did within that time; by which of two clocks that are apart it was told is not asked."""
        return any(begin <= until_us and end >= min(from_us, until_us) for begin, end in self._away)

    def settled(self, record: CommandRecord, at_s: float) -> None:
        """Note when a command's final result was stored at the earliest."""
        self.settled_us.setdefault((record.sender, record.command_id), BEGAN_US + round(at_s * 1e6))

    def feed(self, core: Core, command_id: str, sender: str = SENDER) -> None:
        """Tell a worker of the order that a close placed, as its account's feed would."""
        self._do(self._feed(core, command_id, sender))

    def within(self, core: Core, work: Coroutine[Any, Any, None]) -> None:
        """Do something in a worker, by its clocks."""

        async def run() -> None:
            owner.set(core)
            await work

        self._do(run())

    async def _feed(self, core: Core, command_id: str, sender: str) -> None:
        async def tell() -> None:
            owner.set(core)
            record = await core.journal.load(sender, command_id)
            if record is None:
                return
            order_id = self.venues[record.command.venue].order_of(record.client_order_id)
            if order_id is None:
                return
            concluded = await core.dispatcher.settle_by_event(record, Accepted(order_id=order_id))
            if concluded is not None:
                core.relay.put(concluded.outgoing)

        telling = asyncio.create_task(tell())
        if not (await asyncio.wait({telling}, timeout=FED_S))[0]:
            telling.cancel()  # it died of this, or sleeps
        with suppress(JournalUnavailable, asyncio.CancelledError):
            await telling

    @property
    def _note(self) -> Path:
        return self.path.with_name(f"{self.path.name}-seen")

    async def _begin(self, witnessed: bool) -> Core:
        self._born += 1
        core = Core(self, self._born)
        starting = contextvars.copy_context().run(asyncio.create_task, core.start(witnessed=witnessed))
        await starting
        self.cores.append(core)
        return core

    async def _bury(self, core: Core) -> None:
        core.alive = False
        core.thaw()
        self.cores.remove(core)
        tasks = list(core.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        core.journal.kill()
        core.disconnect()
        core.publisher.cut()

    async def _pass(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        ends = loop.time() + seconds
        await self._tidy()
        while (left := ends - loop.time()) > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self.broker.stirred.wait()
            await self._tidy()

    async def _tidy(self) -> None:
        """Bury workers that died, and deliver what is in the queue to the others in turn."""
        self.broker.stirred.clear()
        for core in [core for core in self.cores if not core.alive]:
            await self._bury(core)
        while self.broker.queue and (free := [core for core in self.cores if core.free]):
            self._turn += 1
            free[self._turn % len(free)].deliver(self.broker.queue.popleft())

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)


def contradictions(venue: str) -> float:
    """Return how often workers of any world have told that evidence contradicts a final answer."""
    return _metrics.registry.get_sample_value("order_router_contradictions_total", {"venue": venue}) or 0.0


def coid(command_id: str, sender: str = SENDER) -> str:
    """Return the client order id of a sender's command."""
    return client_order_id(sender, command_id)


def _owned(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> asyncio.Task[Any]:
    task: asyncio.Task[Any] = asyncio.Task(work, loop=loop, **options)
    process = owner.get()
    if isinstance(process, Core):
        process.tasks.add(task)
    return task
