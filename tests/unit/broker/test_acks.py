"""Acknowledgements against a model of the broker: never one too many, none held up."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from router.broker.acks import Ack, Acks


class Broker:
    """What RabbitMQ keeps of one channel."""

    def __init__(self) -> None:
        self.unacked: set[int] = set()
        self.acked: set[int] = set()
        self.requeued: set[int] = set()

    def ack(self, ack: Ack) -> None:
        """Forget a delivery, or all up to it. An unknown tag would close the channel."""
        assert ack.tag in self.unacked, f"PRECONDITION_FAILED - unknown delivery tag {ack.tag}"
        gone = {tag for tag in self.unacked if tag == ack.tag or (ack.multiple and tag < ack.tag)}
        self.unacked -= gone
        self.acked |= gone

    def requeue(self, tag: int) -> None:
        """Put one back."""
        self.unacked.remove(tag)
        self.requeued.add(tag)


class Channel(RuleBasedStateMachine):
    """Deliveries come, are done with in any order, some go back, and turns of the loop end anywhere in between."""

    at_work = Bundle("at_work")

    def __init__(self) -> None:
        super().__init__()
        self.acks = Acks()
        self.broker = Broker()
        self.asked: set[int] = set()
        self.last = 0

    @rule(target=at_work, count=st.integers(1, 5))
    def deliver(self, count: int) -> object:
        tags = range(self.last + 1, self.last + count + 1)
        self.last += count
        for tag in tags:
            self.broker.unacked.add(tag)
            self.acks.delivered(tag)
        return multiple(*tags)

    @rule(tag=consumes(at_work))
    def done(self, tag: int) -> None:
        self.acks.ask(tag)
        self.asked.add(tag)

    @rule(tag=consumes(at_work))
    def give_back(self, tag: int) -> None:
        self.acks.requeued(tag)
        self.broker.requeue(tag)

    @rule(data=st.data())
    def settle_again(self, data: st.DataObject) -> None:
        settled = sorted(self.asked | self.broker.requeued)
        if settled:
            tag = data.draw(st.sampled_from(settled))
            for settle in (self.acks.check, self.acks.ask, self.acks.requeued):
                with pytest.raises(ValueError, match="settled"):
                    settle(tag)

    @rule()
    def end_turn(self) -> None:
        """All that was asked for by now is acknowledged, whatever is still at work below it."""
        for ack in self.acks.collect():
            self.broker.ack(ack)
        assert self.broker.acked == self.asked
        assert self.acks.collect() == []

    @invariant()
    def nothing_is_lost(self) -> None:
        """What nobody asked for is never acknowledged."""
        assert self.broker.acked <= self.asked


TestChannel = Channel.TestCase
TestChannel.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)


def delivered(count: int) -> Acks:
    """Return a channel with so many deliveries at work."""
    acks = Acks()
    for tag in range(1, count + 1):
        acks.delivered(tag)
    return acks


def test_a_run_from_the_lowest_is_one_acknowledgement() -> None:
    """Deliveries that are done with in one turn share a frame when nothing below them is at work."""
    acks = delivered(5)
    for tag in (3, 1, 2):
        acks.ask(tag)
    assert acks.collect() == [Ack(3, True)]


def test_a_slow_command_holds_up_nobody_else() -> None:
    """While the lowest is at work the others are acknowledged one by one, and it is not taken along."""
    acks = delivered(4)
    acks.ask(4)
    acks.ask(2)
    assert acks.collect() == [Ack(4, False), Ack(2, False)]
    acks.ask(1)
    assert acks.collect() == [Ack(1, False)]
    acks.ask(3)
    assert acks.collect() == [Ack(3, False)]


def test_what_went_back_to_the_queue_does_not_break_a_run() -> None:
    """A requeued delivery is not outstanding any more: a run goes over it and does not mean it."""
    acks = delivered(3)
    acks.requeued(2)
    acks.ask(1)
    acks.ask(3)
    assert acks.collect() == [Ack(3, True)]


@pytest.mark.parametrize("tag", [0, 1, 9])
def test_a_tag_that_was_never_delivered_is_refused(tag: int) -> None:
    """Asking for it would close the channel, and with tag 0 acknowledge everything."""
    acks = Acks()
    with pytest.raises(ValueError, match=f"delivery {tag} is settled"):
        acks.ask(tag)
