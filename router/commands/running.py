"""One delivery at work in this process."""

from router.commands.suspects import Suspicion
from router.records.command import Reply
from router.records.delivery import Delivery


class Running:
    """A delivery at work in this process, and the redeliveries of its message since: all are settled together.

    `uncertain`: a row may have been stored for it, here or by another process; then nothing may be said for good
    without the journal.
    """

    __slots__ = ("deliveries", "delivery", "held", "reply", "suspicion", "told", "unburied", "uncertain")

    def __init__(self, delivery: Delivery) -> None:
        self.delivery = delivery
        self.deliveries = [delivery]
        self.reply = delivery.reply(None)
        self.uncertain = delivery.redelivered
        self.told = self.held = self.unburied = False
        self.suspicion: Suspicion | None = None

    def hold(self) -> None:
        """Keep the delivery for long, and nobody behind it from being delivered: they have deadlines, too."""
        if not self.held:
            self.held = True
            self.delivery.hold()

    def unsuspect(self) -> None:
        """Let others be handled: this message ended nobody so far, and from here on the journal knows of it."""
        if self.suspicion is not None:
            self.suspicion.leave()

    def is_again(self, delivery: Delivery, reply: Reply) -> bool:
        """Say whether a delivery is the same message once more."""
        return delivery.redelivered and reply == self.reply and delivery.body == self.delivery.body
