"""Everything around the core, under one roof: a broker, venues, journals, time, and workers that may die.

A `World` is driven from synchronous tests: `publish`, `run`, `until`. Each `Core` is wired as `router.app` wires a
worker, over the real SQLite journal.
"""

import asyncio
import contextvars
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self, TypeVar
from weakref import WeakSet

from router.answers import to_time
from router.config import Sender
from router.dispatch import Dispatcher
from router.limiter import Limiter
from router.outbox import Outbox
from router.plan import Planner
from router.resolver import Resolver
from router.telemetry import Metrics
from router.venue import Account, Venue
from router.venue_protocol import Limit, Options, Secrets
from router.worker import Worker
from schemas.codec import encode_command
from schemas.commands import Cancel, Close, Command
from schemas.ids import client_order_id
from schemas.results import Result
from tests.unit.core.fake_broker import Connection, FakeBroker, FakePublisher, Heard, Message
from tests.unit.core.fake_venue import FakeExchange, FakeTransport, FakeVenue
from tests.unit.core.steady_journal import SteadyJournal
from tests.unit.core.virtual_time import VirtualClock, VirtualLoop

TIMEOUT_S = 2.0
WINDOW_S = 2.0
QUARANTINE_S = TIMEOUT_S + WINDOW_S + 5.0
RESOLVE_FOR_S = 60.0
MAX_HORIZON_S = 300.0
STEP_S = 0.25
"""How often `until` looks."""
SENDER = "alpha"

T = TypeVar("T")

_metrics = Metrics(venues=("acme", "echo"))
_owner: contextvars.ContextVar["Core | None"] = contextvars.ContextVar("owner", default=None)


class Core:
    """One worker process: its parts, its tasks, and its death."""

    def __init__(self, world: "World", number: int) -> None:
        self.number = number
        self.alive = True
        self.points: list[str] = []
        """Every place so far where the process might have died."""
        self.dies_at: int | None = None
        self.tasks: WeakSet[asyncio.Task[Any]] = WeakSet()
        self.clock = world.clock
        self._world = world

    async def start(self, journal: SteadyJournal, turn: asyncio.Lock) -> None:
        """Wire the parts and set them going."""
        world, clock = self._world, self._world.clock
        _owner.set(self)
        self.journal = journal
        journal.prepare(world.loop, clock, turn, self.at, world.forgotten)
        self.venues = {name: world.configure(name) for name in world.venues}
        self.transport = FakeTransport(world.venues, self.at)
        publisher = FakePublisher(world.broker, self.at)
        self.outbox = Outbox(journal, publisher, clock, _metrics)
        self.dispatcher = Dispatcher(
            self.venues, journal, self.transport, clock, _metrics, resolve_for_s=world.resolve_for_s
        )
        self.resolver = Resolver(self.dispatcher, journal, self.outbox, clock, resolve_for_s=RESOLVE_FOR_S)
        self.planner = Planner(self.venues, journal, clock, max_horizon_s=MAX_HORIZON_S)
        self.worker = Worker(
            self.planner,
            self.dispatcher,
            journal,
            self.outbox,
            publisher,
            publisher,
            clock,
            _metrics,
            world.senders,
        )
        self.connection = Connection(world.broker, self.worker.take)
        self.sides = [asyncio.create_task(self.resolver.run()), asyncio.create_task(self.outbox.run())]
        self.context = contextvars.copy_context()

    async def at(self, point: str) -> None:
        """Be somewhere where the process might die, if it has a name. Once it has, nothing of it gets any further."""
        if not self.alive:
            raise asyncio.CancelledError
        if not point:
            return
        self.points.append(point)
        if self.dies_at is not None and len(self.points) > self.dies_at:
            self.alive = False
            self._world.broker.stirred.set()
            await asyncio.get_running_loop().create_future()

    def deliver(self, message: Message) -> None:
        """Hand a message to the worker, in the worker's own context."""
        self.context.run(self.connection.deliver, message, self.at)

    def reconnect(self) -> None:
        """Lose the connection to the broker and get a new one."""
        self.connection.cut()
        self.connection = Connection(self._world.broker, self.worker.take)


class World:
    """The outside of one or more workers on one journal."""

    def __init__(
        self,
        directory: Path,
        *,
        limits: tuple[Limit, ...] = (),
        senders: Mapping[str, Sender] | None = None,
        resolve_for_s: float = RESOLVE_FOR_S,
    ) -> None:
        self.loop = VirtualLoop()
        self.loop.set_task_factory(_owned)
        self.clock = VirtualClock(self.loop)
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
        self.cores: list[Core] = []
        self.forgotten: set[str] = set()
        """Commands that were sent and whose rows never reached the disk (only what may be repeated is)."""
        self.path = directory / "journal.db"
        self._limits = limits
        self._turn = asyncio.Lock()
        self._born = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for core in list(self.cores):
            self._do(self._bury(core))
        self.loop.close()

    def configure(self, name: str) -> Venue:
        """Return a venue as a worker knows it."""
        exchange = FakeExchange(name, recognises_repeats=name in self.recognises_repeats)
        options = Options(rest_url=f"https://{name}", timeout_s=TIMEOUT_S, timestamp_window_s=WINDOW_S)
        signer = exchange.signer(Secrets(api_key="key", api_secret="secret"))
        accounts = {account: Account(account, signer) for account in self.accounts}
        limiter = Limiter(self._limits, self.clock)
        return Venue(name=name, exchange=exchange, options=options, accounts=accounts, limiter=limiter)

    def start(self) -> Core:
        """Start a worker."""
        return self._do(self._begin())

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

    async def _begin(self) -> Core:
        with self.loop.thread_works():
            journal = await SteadyJournal.open(self.path)
        assert isinstance(journal, SteadyJournal)
        self._born += 1
        core = Core(self, self._born)
        starting = contextvars.copy_context().run(asyncio.create_task, core.start(journal, self._turn))
        await starting
        self.cores.append(core)
        return core

    async def _bury(self, core: Core) -> None:
        core.alive = False
        self.cores.remove(core)
        tasks = list(core.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with self.loop.thread_works():
            await core.journal.close()
        core.connection.cut()

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
        while self.cores and self.broker.queue:
            message = self.broker.queue.popleft()
            self.cores[len(self.broker.messages) % len(self.cores)].deliver(message)

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)


def coid(command_id: str, sender: str = SENDER) -> str:
    """Return the client order id of a sender's command."""
    return client_order_id(sender, command_id)


def _owned(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> asyncio.Task[Any]:
    task: asyncio.Task[Any] = asyncio.Task(work, loop=loop, **options)
    owner = _owner.get()
    if owner is not None:
        owner.tasks.add(task)
    return task
