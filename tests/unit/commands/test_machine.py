"""Random histories: commands, duplicates, lost answers, outages and crashes in any order, then the promises.

Time is virtual and every choice is hypothesis's, so a failing history is found again and shrunk.
"""

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from router.venue_protocol import Limit
from schemas.commands import Command
from tests.unit.commands import promises
from tests.unit.commands.fake_broker import Message
from tests.unit.commands.fake_venue import Answer
from tests.unit.commands.world import WINDOW_S, World

ORDERS = ("rest-1", "rest-2", "rest-3")
SETTLED_S = 400.0
"""Time enough for every doubt to be settled or given up once nothing fails any more."""

QUIET_S = 40.0
"""How long nothing more may happen after that, late executions and lost marks included."""

late = st.sampled_from((0.0, 0.5, WINDOW_S + 1.0))
answers = st.one_of(
    st.builds(Answer, takes_s=st.sampled_from((0.01, 0.4))),
    st.just(Answer(kind="refuse")),
    st.builds(Answer, kind=st.just("retry"), after_s=st.sampled_from((0.0, 0.7, 4.0))),
    st.builds(Answer, kind=st.sampled_from(("look", "unknown", "reset", "hang")), executes=st.booleans(), late_s=late),
    st.builds(Answer, kind=st.just("unsent"), takes_s=st.sampled_from((0.0, 3.0))),
)
scripts = st.lists(answers, max_size=4)
limits = st.sampled_from(((), (Limit("act", 2, 1.0), Limit("read", 4, 1.0)), (Limit("act", 3, 5.0, cancels_only=1),)))
ttls = st.sampled_from((0.5, 3.0, 10.0, 60.0))


class Histories(RuleBasedStateMachine):
    """One or two workers on one journal, and everything that may happen to them."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.commands: list[Command] = []
        self.published: list[Message] = []
        self.disturbed = False
        """Whether workers died, or the journal or the broker failed."""

    @initialize(limits=limits, visible_after_s=st.sampled_from((0.0, 3.0)))
    def begin(self, limits: tuple[Limit, ...], visible_after_s: float) -> None:
        self.world = World(Path(self.directory.name), limits=limits).__enter__()
        for venue in self.world.venues.values():
            venue.visible_after_s = visible_after_s
        for order_id in ORDERS:
            self.world.acme.rest(order_id)
        self.world.start()

    @rule(venue=st.sampled_from(("acme", "echo")), position=st.sampled_from("pqr"), ttl_s=ttls, script=scripts)
    def close(self, venue: str, position: str, ttl_s: float, script: list[Answer]) -> None:
        fields = {"venue": venue, "position_id": position}
        self._send(self.world.close(f"c{len(self.commands)}", ttl_s=ttl_s, **fields), script)

    @rule(order_id=st.sampled_from(ORDERS), ttl_s=ttls, script=scripts, await_final=st.booleans())
    def cancel(self, order_id: str, ttl_s: float, script: list[Answer], await_final: bool) -> None:
        fields = {"order_id": order_id, "await_final": await_final}
        self._send(self.world.cancel(f"x{len(self.commands)}", ttl_s=ttl_s, **fields), script)

    @rule(ahead=st.integers(-3, 2), ttl_s=ttls, script=scripts, await_final=st.booleans())
    def cancel_target(self, ahead: int, ttl_s: float, script: list[Answer], await_final: bool) -> None:
        target = f"c{max(len(self.commands) + ahead, 0)}"
        fields = {"target_command_id": target, "await_final": await_final}
        self._send(self.world.cancel(f"x{len(self.commands)}", ttl_s=ttl_s, **fields), script)

    @precondition(lambda self: self.published)
    @rule(data=st.data(), elsewhere=st.booleans())
    def publish_again(self, data: Any, elsewhere: bool) -> None:
        message = data.draw(st.sampled_from(self.published))
        reply_to = "alpha.elsewhere" if elsewhere else message.reply_to
        self.world.publish_raw(
            message.body,
            routing_key=message.routing_key,
            venue=message.venue,
            correlation_id=message.correlation_id,
            reply_to=reply_to,
        )

    @precondition(lambda self: self.commands)
    @rule(data=st.data())
    def reuse_id(self, data: Any) -> None:
        command = data.draw(st.sampled_from(self.commands))
        self.world.publish(self.world.close(command.command_id, position_id="other", size="7"))

    @rule(seconds=st.sampled_from((0.0, 0.02, 0.3, 1.0, 5.0, 15.0)))
    def pass_time(self, seconds: float) -> None:
        self.world.run(seconds)

    @precondition(lambda self: self.world.cores)
    @rule(which=st.integers(0, 1), points=st.integers(0, 12))
    def crash(self, which: int, points: int) -> None:
        self.disturbed = True
        core = self.world.cores[which % len(self.world.cores)]
        core.dies_at = len(core.points) + points

    @precondition(lambda self: len(self.world.cores) < 2)
    @rule()
    def start_worker(self) -> None:
        self.world.start()

    @rule(which=st.integers(0, 1))
    def reconnect(self, which: int) -> None:
        if self.world.cores:
            self.world.cores[which % len(self.world.cores)].reconnect()

    @rule(fault=st.sampled_from((None, "refused", "confirm lost")))
    def publishing(self, fault: Any) -> None:
        self.disturbed |= fault is not None
        self.world.broker.fault = fault

    @rule(which=st.integers(0, 1), fault=st.sampled_from((None, None, "down", "unreadable", "answer lost", "down")))
    def journal(self, which: int, fault: Any) -> None:
        self.disturbed |= fault is not None
        if self.world.cores:
            self.world.cores[which % len(self.world.cores)].journal.fault = fault

    @rule(fail=st.booleans())
    def reads(self, fail: bool) -> None:
        self.world.acme.reads_fail = self.world.echo.reads_fail = fail

    def teardown(self) -> None:
        try:
            self._settle()
            promises.check(self.world)
            if not self.disturbed:
                promises.in_time(self.world)
        finally:
            self.world.__exit__()
            self.directory.cleanup()

    def _send(self, command: Command, script: list[Answer]) -> None:
        self.commands.append(command)
        self.published.append(self.world.publish(command))
        self.world.venues[command.venue].scripts[promises.command_key(command, "alpha")].extend(script)

    def _settle(self) -> None:
        """Mend everything, and wait."""
        world = self.world
        world.broker.fault = None
        world.acme.reads_fail = world.echo.reads_fail = False
        for core in world.cores:
            core.journal.fault = core.dies_at = None
        world.run(0)
        if not world.cores:
            world.start()
        world.until(self._quiet, SETTLED_S)
        world.run(QUIET_S)

    def _quiet(self) -> bool:
        return not self.world.broker.queue and all(
            message.settled and any(heard.result.final for heard in self.world.heard_by(message))
            for message in self.world.broker.messages
        )


FEW = settings(
    max_examples=40,
    stateful_step_count=20,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
MANY = settings(max_examples=1500, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck))


def test_the_promises_hold_in_a_few_histories() -> None:
    """Always the same ones, with every run."""
    run_state_machine_as_test(Histories, settings=FEW)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_promises_hold_in_many_histories() -> None:
    """New ones each time, for minutes."""
    run_state_machine_as_test(Histories, settings=MANY)
