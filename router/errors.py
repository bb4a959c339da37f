"""Every exception of our own. A venue's refusal is a value (`router.venue_protocol`), never one of these.

RouterError
├── ConfigError          the configuration is wrong: print every line, exit 78
├── SendError
│   ├── NotSent          no byte of the request left: any request may be tried again
│   │   └── DeadlinePassed   and none may leave any more
│   └── MaybeSent        the venue may have acted: a close is in doubt from here on
├── JournalUnavailable   nothing may be sent; not ready until it is back
├── UnreadableRow        this version cannot read a stored row: leave it to a newer one, tell an operator
├── LeaseLost            another process feeds this account now: number nothing more, stop its feed
├── SocketClosed         the feed's connection is gone: announce a gap, connect again, fill it
├── BrokerUnavailable    no connection, or not the topology we need: wait and connect again
├── PublishFailed        the message is not confirmed: keep it and publish it again
│   └── Unroutable       its queue did not take it: send it to the results queue instead
└── UserError            the operator asked for something impossible: print it, exit 1
"""

from collections.abc import Sequence


class RouterError(Exception):
    """The root of our own exceptions."""


class ConfigError(RouterError):
    """Raised with every fault of a configuration at once. Print the lines and exit 78; none holds a secret."""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = tuple(lines)


class SendError(RouterError):
    """The request got no answer; the subclass says whether the venue may have seen it."""


class NotSent(SendError):
    """No byte of the request left this process. Trying again is safe for every request."""


class DeadlinePassed(NotSent):
    """`not_after` passed before the first byte. Answer; send nothing."""


class MaybeSent(SendError):
    """At least one byte may have left. Only a repeatable request may go again; else look."""


class JournalUnavailable(RouterError):
    """The journal cannot promise anything now. Send nothing, report not ready, try again."""


class UnreadableRow(RouterError):
    """A row was written by a newer version, or damaged. Leave it as it is; whoever can read it takes it up."""


class LeaseLost(RouterError):
    """An account's feed has another owner. Nothing was stored; stop, and leave the account to them."""


class SocketClosed(RouterError):
    """The socket is gone or never opened. The message names no URL: that may be a credential."""


class BrokerUnavailable(RouterError):
    """The broker cannot be used as it is. Report not ready and try again; the message names no password."""


class PublishFailed(RouterError):
    """The broker did not confirm. The message stays in the outbox and is published again under the same id."""


class Unroutable(PublishFailed):
    """The message's queue is gone, full or forbidden. Publish it to the results queue instead."""


class UserError(RouterError):
    """The operator asked for something that cannot be done. Print the message and exit 1."""
