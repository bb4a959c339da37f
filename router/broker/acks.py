"""Which deliveries of one channel are outstanding, and the fewest acknowledgements for those that are done with.

The broker forgets what is acknowledged: one tag too many is a command lost. RabbitMQ's rule (its documentation of
consumer acknowledgements): tags count up from 1 per channel; an acknowledgement that is `multiple` takes every
outstanding delivery up to its tag; one for a tag that is not outstanding closes the channel. Pure.
"""

from typing import NamedTuple


class Ack(NamedTuple):
    """One acknowledgement. `multiple` means every outstanding delivery up to this one."""

    tag: int
    multiple: bool


class Acks:
    """The outstanding deliveries of one channel, each either at work or done with."""

    def __init__(self) -> None:
        self._done: dict[int, bool] = {}
        """What the broker waits for, in the order of tags; true once it may be acknowledged."""
        self._asked: list[int] = []

    def delivered(self, tag: int) -> None:
        """Note a delivery. Tags only ever rise."""
        self._done[tag] = False

    def check(self, tag: int) -> None:
        """Raise `ValueError` when a delivery was settled before, or never made."""
        if self._done.get(tag, True):
            raise ValueError(f"delivery {tag} is settled")

    def ask(self, tag: int) -> None:
        """Let a delivery be acknowledged. Raises `ValueError` as `check` does."""
        self.check(tag)
        self._done[tag] = True
        self._asked.append(tag)

    def requeued(self, tag: int) -> None:
        """Note that a delivery goes back to its queue; its frame must leave before what `collect` returns next.

        Raises `ValueError` as `check` does.
        """
        self.check(tag)
        del self._done[tag]

    def collect(self) -> list[Ack]:
        """Return the acknowledgements for all that was asked for since the last time, to be sent in this order.

        The lowest outstanding deliveries that are all done with share one; each of the others has its own, so that
        none waits for a delivery that is still at work.
        """
        asked, self._asked = self._asked, []
        run = []
        for tag, done in self._done.items():
            if not done:
                break
            run.append(tag)
        for tag in run:
            del self._done[tag]
        acks = [Ack(run[-1], len(run) > 1)] if run else []
        return acks + [Ack(tag, False) for tag in asked if self._done.pop(tag, False)]
