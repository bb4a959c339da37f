"""What the core needs of the outside, as Protocols. `router/app/` names the classes that fulfil them."""

from router.ports.broker import DeadLetters, EventPublisher, Mark, Publisher, Witness
from router.ports.clock import Clock
from router.ports.feed import EventJournal, Settler
from router.ports.journal import (
    CommandJournal,
    Comparison,
    Journal,
    JournalClock,
    MarkJournal,
    RefusalJournal,
    ResultJournal,
    SlotJournal,
)
from router.ports.limits import LimitJournal
from router.ports.venue import Socket, Sockets, Transport

__all__ = [
    "Clock",
    "CommandJournal",
    "Comparison",
    "DeadLetters",
    "EventJournal",
    "EventPublisher",
    "Journal",
    "JournalClock",
    "LimitJournal",
    "Mark",
    "MarkJournal",
    "Publisher",
    "RefusalJournal",
    "ResultJournal",
    "Settler",
    "SlotJournal",
    "Socket",
    "Sockets",
    "Transport",
    "Witness",
]
