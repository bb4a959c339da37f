"""One random life of the world: commands, and everything that may go wrong, drawn from one seed."""

import random
from collections import Counter
from collections.abc import Callable
from contextvars import Context
from pathlib import Path
from typing import Any, get_args

from router.clock import to_us
from router.venue_protocol import Limit
from schemas.commands import Command
from tests.unit.commands import promises
from tests.unit.commands.fake_broker import Message, PublishFault, WitnessFault
from tests.unit.commands.fake_venue import Answer, Kind
from tests.unit.commands.steady_journal import JournalFault
from tests.unit.commands.virtual_time import BEGAN_US
from tests.unit.commands.world import SENDER, Copy, Core, World

ORDERS = ("rest-1", "rest-2", "rest-3")
QUEUES = (
    "alpha.results",
    "alpha.results",
    "alpha.results",
    "alpha.more",
    "amq.rabbitmq.reply-to.g1",
    "orders.nobody",
    "",
)
SENDERS = (SENDER, SENDER, SENDER, "beta")
STEPS_US = (-300_000_000, -60_000_000, -2_000_000, 2_000_000, 60_000_000, 300_000_000)
LIMITS = ((), (), (Limit("act", 2, 1.0), Limit("read", 4, 1.0)), (Limit("act", 3, 5.0, cancels_only=1),))
TIMEOUT_S = 0.5
WINDOW_S = 0.5
QUARANTINE_S = 2.0
RESOLVE_FOR_S = 8.0
SETTLED_S = 400.0
"""Time enough for every doubt to be settled or given up once nothing fails any more."""
QUIET_S = 3.0
"""How long nothing more may happen after that, late executions and lost marks included."""
RECOVERY_US = 8_000_000
"""For how long after a trouble answers may be late: claims of processes that died have to run out."""

Event = Callable[["Life"], None]


class Life:
    """One life. `story` tells it, `faults` counts what was met."""

    def __init__(self, seed: int, directory: Path) -> None:
        self.random = rng = random.Random(seed)
        random.seed(seed)  # what the router itself draws
        self.story: list[str] = []
        self.faults: Counter[str] = Counter()
        self.commands: list[Command] = []
        self.sent: list[tuple[Command, str]] = []
        self.published: list[Message] = []
        self.copies: list[Copy] = []
        self.world = World(
            directory,
            limits=rng.choice(LIMITS),
            resolve_for_s=RESOLVE_FOR_S,
            timeout_s=TIMEOUT_S,
            window_s=WINDOW_S,
            quarantine_s=QUARANTINE_S,
            prefetch=rng.choice((2, 8, 64)),
        )

    def run(self) -> None:
        """Live, settle, and be judged. Raises `AssertionError`."""
        world, rng = self.world, self.random
        with world:
            for venue in world.venues.values():
                venue.visible_after_s = rng.choice((0.0, 0.0, 1.0))
            for order_id in ORDERS:
                world.acme.rest(order_id)
            for _ in range(rng.choice((1, 1, 2))):
                world.start()
            for _ in range(rng.randint(3, 14)):
                event = rng.choices(EVENTS, WEIGHTS)[0]
                event(self)
                world.run(rng.choice((0.0, 0.0, 0.02, 0.3, 0.3, 1.0, 4.0)))
            self._settle()
            promises.check(world)
            promises.in_time(world)

    def tell(self, text: str) -> None:
        """Add to the story."""
        self.story.append(f"@{self.world.loop.elapsed_s:.3f} {text}")

    def epilogue(self) -> list[str]:
        """Return what really happened at the venues, and what the senders heard, in order."""
        told: list[tuple[int, str]] = []
        for name, venue in self.world.venues.items():
            told += [(a.at_us, f"{name} gets {a.kind} for {self._named(a.key)}") for a in venue.arrivals]
        for heard in self.world.broker.heard:
            result, reply = heard.result, heard.reply
            reason = f" {result.reason.code}" if result.reason else ""
            flags = "".join(
                f" {flag}"
                for flag, holds in (
                    ("duplicate", result.duplicate),
                    ("unrecorded", result.recorded is False),
                    ("diverted", heard.diverted),
                    ("not final", not result.final),
                )
                if holds
            )
            text = f"{reply.reply_to!r} hears {result.command_id} {result.outcome}{reason} seq {result.seq}{flags}"
            told.append((heard.at_us, f"{text}, completed @{_virtual(to_us(result.completed_at))}"))
        executed = [f"{name} executed {dict(venue.executed)}" for name, venue in self.world.venues.items()]
        return [f"@{_virtual(at_us)} {text}" for at_us, text in sorted(told)] + executed

    def _named(self, key: str) -> str:
        """Return the id of the command that a venue knows by its key."""
        named = {promises.command_key(command, sender): command.command_id for command, sender in self.sent}
        return named.get(key, key)

    def fault(self, name: str, detail: object = "") -> None:
        """Count a fault and add it to the story."""
        self.faults[name] += 1
        self.tell(f"{name} {detail}")

    def core(self) -> Core | None:
        """Return one of the workers."""
        return self.random.choice(self.world.cores) if self.world.cores else None

    def trouble(self, seconds: float = 0.0, queue: str | None = None) -> None:
        """Note that answers may be late now, for so long and a little more."""
        now = self.world.clock.now_us()
        self.world.trouble(now, now + round(seconds * 1e6) + RECOVERY_US, queue)

    def later(self, seconds: float, work: Callable[[], Any]) -> None:
        """Do something in a while, whatever else happens."""
        self.world.loop.call_later(seconds, work, context=Context())

    def send(self, command: Command, sender: str, script: list[Answer], reply_to: str) -> None:
        """Publish a command, with what its venue will say."""
        self.commands.append(command)
        message = self.world.publish(command, sender=sender, reply_to=reply_to)
        self.published.append(message)
        key = promises.command_key(command, sender)
        self.world.venues[command.venue].scripts[key].extend(script)
        self.sent.append((command, sender))
        fields = f"{command.venue} until @{_virtual(to_us(command.not_after))}"
        said = [f"{a.kind}{'+executes' if a.executes else ''}{f' late {a.late_s}' if a.late_s else ''}" for a in script]
        self.tell(f"{sender!r} publishes {command.command_id} {type(command).__name__} {fields} to {reply_to!r} {said}")

    def _settle(self) -> None:
        """Mend everything, and wait."""
        world = self.world
        self.tell("everything is mended")
        world.broker.mend()
        self.trouble()
        for venue in world.venues.values():
            venue.hangs = venue.reads_fail = False
            venue.window_us = None
        for core in list(world.cores):
            mend(self, core)
            core.dies_at = None
            core.thaw()
        world.run(0)
        if not world.cores:
            world.start()
        world.until(lambda: not any(promises.owed(world, message) for message in world.broker.messages), SETTLED_S)
        world.run(QUIET_S)


def _virtual(at_us: int) -> str:
    return f"{(at_us - BEGAN_US) / 1e6:.3f}"


def script(rng: random.Random) -> list[Answer]:
    """Draw what the venue says to the requests of one command."""
    return [_answer(rng) for _ in range(rng.choice((0, 0, 1, 1, 2, 4)))]


def _answer(rng: random.Random) -> Answer:
    kind: Kind = rng.choice(
        ("ok", "refuse", "retry", "throttle", "look", "unknown", "reset", "hang", "taken", "unsent")
    )
    late_s = rng.choice((0.0, 0.0, 0.3, TIMEOUT_S + WINDOW_S - 0.05))
    after_s = rng.choice((0.0, 0.7, 4.0)) if kind in {"retry", "throttle"} else 0.0
    executes = kind == "taken" or (kind in {"look", "unknown", "reset", "hang"} and rng.random() < 0.5)
    takes_s = rng.choice((0.01, 0.2, 0.45))
    if kind == "refuse" and rng.random() < 0.05:
        executes = True
    if kind == "taken":
        late_s = min(late_s, takes_s)
    return Answer(kind=kind, executes=executes, late_s=late_s, after_s=after_s, takes_s=takes_s)


def close(life: Life) -> None:
    """Publish a close."""
    rng = life.random
    fields = {"venue": rng.choice(("acme", "acme", "echo")), "position_id": rng.choice("pqr")}
    command = life.world.close(f"c{len(life.commands)}", ttl_s=rng.choice((0.5, 3.0, 10.0, 60.0)), **fields)
    life.send(command, rng.choice(SENDERS), script(rng), rng.choice(QUEUES))


def cancel(life: Life) -> None:
    """Publish a cancel by order id."""
    rng = life.random
    fields = {"order_id": rng.choice(ORDERS), "await_final": rng.random() < 0.25}
    command = life.world.cancel(f"x{len(life.commands)}", ttl_s=rng.choice((0.5, 3.0, 10.0)), **fields)
    life.send(command, rng.choice(SENDERS), script(rng), rng.choice(QUEUES))


def cancel_target(life: Life) -> None:
    """Publish a cancel of what a close placed, or will place."""
    rng = life.random
    target = f"c{max(len(life.commands) + rng.randint(-3, 2), 0)}"
    fields = {"target_command_id": target, "await_final": rng.random() < 0.25}
    command = life.world.cancel(f"x{len(life.commands)}", ttl_s=rng.choice((0.5, 3.0, 10.0)), **fields)
    life.send(command, rng.choice(SENDERS), script(rng), rng.choice(QUEUES))


def again(life: Life) -> None:
    """Publish a command once more."""
    if not life.published:
        return
    message = life.random.choice(life.published)
    reply_to = life.random.choice((message.reply_to, "alpha.more"))
    life.tell(f"{message.correlation_id} again, to {reply_to!r}")
    life.world.publish_raw(
        message.body,
        routing_key=message.routing_key,
        venue=message.venue,
        sender=message.sender,
        correlation_id=message.correlation_id,
        reply_to=reply_to,
    )


def reuse(life: Life) -> None:
    """Publish another command under an id that is taken."""
    if life.commands:
        command = life.random.choice(life.commands)
        life.tell(f"{command.command_id} with another body")
        life.world.publish(life.world.close(command.command_id, position_id="other", size="7"))


def crash(life: Life) -> None:
    """Let a worker die at one of its next points."""
    core = life.core()
    if core is not None:
        points = life.random.randint(0, 14)
        life.fault("crash", f"of {core.number} after {points} points")
        core.dies_at = len(core.points) + points
        life.trouble(60.0)


def kill(life: Life) -> None:
    """Kill a worker now."""
    core = life.core()
    if core is not None:
        life.fault("kill", core.number)
        life.trouble(60.0)
        life.world.kill(core)


def start(life: Life) -> None:
    """Start a worker."""
    if len(life.world.cores) < 2:
        life.tell("a worker starts")
        life.world.start()


def freeze(life: Life) -> None:
    """Stop a worker for some seconds."""
    core = life.core()
    if core is not None and not core.frozen and core.alive:
        seconds = life.random.choice((0.1, 1.2, 3.0, 8.0, 30.0))
        life.fault("freeze", f"of {core.number} for {seconds} s")
        life.trouble(seconds)
        core.freeze()
        life.later(seconds, core.thaw)


def sleep(life: Life) -> None:
    """Let the machine sleep."""
    seconds = life.random.choice((1.2, 5.0, 60.0))
    life.fault("sleep", f"{seconds} s")
    life.trouble(seconds)
    for core in life.world.cores:
        if not core.frozen and core.alive:
            core.freeze()
            life.later(seconds, core.thaw)


def step_clock(life: Life) -> None:
    """Set the wall clock of one process, or of all."""
    step_us = life.random.choice(STEPS_US)
    core = life.core()
    cores = life.world.cores if life.random.random() < 0.5 else [core] if core else []
    life.fault("clock", f"{step_us / 1e6:+} s for {[core.number for core in cores]}")
    for each in cores:
        each.clock.jump_us = max(min(each.clock.jump_us + step_us, 300_000_000), -300_000_000)


def reboot(life: Life) -> None:
    """Start the machine again, and workers on it."""
    life.fault("reboot")
    life.trouble(60.0)
    life.world.reboot()
    life.world.run(life.random.choice((0.0, 1.0, 20.0)))
    life.world.start()


def cut(life: Life) -> None:
    """Cut a worker's connections to the broker."""
    core = life.core()
    if core is not None and core.connection is not None:
        life.fault("cut", core.number)
        life.trouble()
        for _ in range(life.random.choice((1, 1, 3, 12))):
            core.reconnect()
            life.world.run(life.random.choice((0.0, 0.05)))


def queue_fails(life: Life) -> None:
    """Let one reply queue fail for a while, or all of them."""
    fault: PublishFault = life.random.choice(get_args(PublishFault))
    queue = life.random.choice(("alpha.results", "alpha.more", "beta.results", ""))
    everywhere = fault in {"refused", "confirm lost"} and life.random.random() < 0.5
    seconds = life.random.choice((0.5, 2.0, 10.0, 700.0))
    broker = life.world.broker
    life.fault(f"queue {fault}", "everywhere" if everywhere else f"{queue!r} for {seconds} s")
    if everywhere:
        broker.fault = fault
        life.trouble(10.0)
        life.later(2.0, lambda: setattr(broker, "fault", None))
        return
    broker.faults[queue] = fault
    life.trouble(seconds, queue)
    if queue == "":  # what is diverted waits
        life.trouble(seconds)
    life.later(seconds, lambda: broker.heal(queue))


def block(life: Life) -> None:
    """Let the broker take nothing for a while."""
    seconds = life.random.choice((0.5, 3.0, 20.0))
    life.fault("blocked", f"{seconds} s")
    life.trouble(seconds)
    life.world.broker.blocked = True
    life.later(seconds, life.world.broker.unblock)


def venue_fails(life: Life) -> None:
    """Let a venue hang, or fail its reads, or look at stamps."""
    name = life.random.choice(("acme", "echo"))
    venue = life.world.venues[name]
    how = life.random.choice(("hangs", "reads_fail"))
    seconds = life.random.choice((1.0, 5.0, 30.0))
    life.fault(f"venue {how}", f"{name} {seconds} s")
    setattr(venue, how, True)
    life.later(seconds, lambda: setattr(venue, how, False))


def journal_fails(life: Life) -> None:
    """Let a worker's journal fail for a while, or be slow."""
    core = life.core()
    if core is None or core.frozen or not core.alive:
        return
    seconds = life.random.choice((0.3, 2.5, 6.0, 30.0))
    now = life.world.clock.now_us()
    life.world.journal_away(now, now + round((seconds + 5.0) * 1e6))
    life.trouble(seconds)
    if life.random.random() < 0.3:
        core.journal.takes_s = life.random.choice((0.05, 0.3, 2.0))
        life.fault("journal slow", f"{core.number}: {core.journal.takes_s} s a commit, for {seconds} s")
        life.later(seconds, lambda: setattr(core.journal, "takes_s", 0.0))
        return
    fault: JournalFault = life.random.choice(get_args(JournalFault))
    life.fault(f"journal {fault}", f"{core.number} for {seconds} s")
    core.journal.fault = fault
    life.later(seconds, lambda: mend(life, core))


def mend(life: Life, core: Core) -> None:
    """Let a worker's journal work again."""
    if core.alive:
        core.journal.fault = None
        core.journal.takes_s = 0.0


def copy(life: Life) -> None:
    """Copy the journal."""
    life.tell("the journal is copied")
    life.copies.append(life.world.copy())


def put_back(life: Life) -> None:
    """Put the journal back, if that would be noticed; what the witness cannot see is not promised."""
    if not life.copies or not life.world.noticed(life.copies[-1]):
        return
    survives = life.random.random() < 0.5
    life.fault("put back", "under living workers" if survives else "with every worker dead")
    now = life.world.clock.now_us()
    life.trouble(60.0)
    life.world.journal_away(now, now + 10_000_000)
    if not survives:
        for core in list(life.world.cores):
            life.world.kill(core)
    life.world.put_back(life.copies[-1])
    if not life.world.cores:
        life.world.start()


def witness_fails(life: Life) -> None:
    """Let the stream of marks be away, or take them late."""
    fault: WitnessFault = life.random.choice(get_args(WitnessFault))
    seconds = life.random.choice((1.0, 10.0))
    life.fault(f"witness {fault}", f"{seconds} s")
    broker = life.world.broker
    life.trouble(seconds)
    now = life.world.clock.now_us()
    life.world.journal_away(now, now + round((seconds + 5.0) * 1e6))
    broker.witness_fault = fault
    life.later(seconds, lambda: setattr(broker, "witness_fault", None))


def feed(life: Life) -> None:
    """Let a feed tell of what a close placed."""
    core = life.core()
    if core is not None and not core.frozen and core.alive and life.commands:
        command = life.random.choice(life.commands)
        life.tell(f"a feed tells {core.number} of {command.command_id}")
        life.world.feed(core, command.command_id)


def wait(life: Life) -> None:
    """Let time pass."""
    life.world.run(life.random.choice((1.0, 3.0, 12.0)))


TABLE: dict[Event, int] = {
    close: 30,
    cancel: 16,
    cancel_target: 8,
    again: 9,
    reuse: 2,
    crash: 7,
    kill: 3,
    start: 9,
    freeze: 6,
    sleep: 3,
    step_clock: 8,
    reboot: 2,
    cut: 5,
    queue_fails: 8,
    block: 3,
    venue_fails: 6,
    journal_fails: 10,
    copy: 5,
    put_back: 5,
    witness_fails: 3,
    feed: 3,
    wait: 6,
}
EVENTS, WEIGHTS = tuple(TABLE), tuple(TABLE.values())
