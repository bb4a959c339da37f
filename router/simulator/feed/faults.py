"""What can be scripted to go wrong with a private feed. What a client missed is never sent again.

    do          what happens                                                      strikes
    cut         the connection ends, by RST or by an orderly close (`how`)        now, or at the `at`-th event
    stall       the socket stays open and nothing is sent                         from now on, for `for_s`
    drop        the event is lost on its way: a gap in the numbers, where         `times` events, from the
                the venue numbers its frames                                      `at`-th on
    duplicate   the event is sent twice, number and all                           the same
    reorder     the event is sent after the next one, or `delay_s` later          the same
    delay       the event and everything behind it is `delay_s` late              the same
    refuse      the handshake is answered with `status`, `delay_s` late           `times` handshakes
    say         `text` is sent as it is                                           now
    expire      every token of the account has come to its end                    now
    evict       the token that would end first is deleted                         now

An *event* is a frame about orders, fills or positions. Acknowledgements and heartbeats are hit only by a fault whose
`channels` name them, or by a stall: that one silences everything but heartbeats and protocol pings, and with
`heartbeats` off these as well, answers to the client's pings included. A stalled frame never existed, so it takes no
number: the feed looks whole while it says nothing. `sticky` stalls sockets that open later, too.

Channels are the venue's own: `orderEvents`, `user`, `heartbeats`, `452` …; none named means every one.
"""

from random import Random
from typing import Literal

from msgspec import Struct

Do = Literal["cut", "stall", "drop", "duplicate", "reorder", "delay", "refuse", "say", "expire", "evict"]
How = Literal["reset", "close"]
Kind = Literal["event", "reply", "heartbeat"]

AT_ONCE = frozenset({"say", "expire", "evict"})


class FeedFault(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One scripted fault of a feed.

    `account` empty means every account; a handshake that does not name one counts for all. `at` counts events from
    now, the first being 1; 0 is 1, and now for a cut. `chance` is the probability that an event it could hit is hit.
    `times` null and `for_s` null mean for ever. `renumbered` gives reordered events numbers in the order they are
    sent, as if the venue itself had mixed them up.
    """

    do: Do
    account: str = ""
    channels: tuple[str, ...] = ()
    at: int = 0
    times: int | None = 1
    chance: float = 1.0
    how: How = "reset"
    delay_s: float = 0.0
    for_s: float | None = None
    heartbeats: bool = True
    sticky: bool = False
    renumbered: bool = False
    status: int = 503
    text: str = ""

    def concerns(self, account: str) -> bool:
        """Say whether it is about this account; an account that is not known yet is everybody's."""
        return not self.account or not account or self.account == account


class ArmedFeedFault:
    """A fault in the queue. `struck` counts what it has hit; it knows the newest socket of its time."""

    def __init__(self, fault: FeedFault, *, newest: int, now_s: float) -> None:
        self.fault = fault
        self.struck = 0
        self._newest = newest
        self._until_s = float("inf") if fault.for_s is None else now_s + fault.for_s
        self._seen = 0

    def spent(self, now_s: float) -> bool:
        """Say whether it will strike no more."""
        if self.fault.do == "stall":
            return now_s >= self._until_s
        return self.fault.times is not None and self.struck >= self.fault.times

    def stalls(self, socket: int, account: str, channel: str, kind: Kind) -> bool:
        """Say whether a frame, ping or pong of this socket is kept back for good."""
        fault = self.fault
        if fault.do != "stall" or not fault.concerns(account) or not (fault.sticky or socket <= self._newest):
            return False
        if fault.channels:
            return channel in fault.channels
        return kind != "heartbeat" or not fault.heartbeats

    def strikes(self, account: str, channel: str, kind: Kind, random: Random) -> bool:
        """Say whether it hits this frame, and count it."""
        fault = self.fault
        if fault.do in {"stall", "refuse"} or not fault.concerns(account):
            return False
        if channel not in fault.channels if fault.channels else kind != "event":
            return False
        self._seen += 1
        if self._seen < fault.at or (fault.chance < 1 and random.random() >= fault.chance):
            return False
        self.struck += 1
        return True


class FeedFaults:
    """The faults of one feed, in the order they were added; a frame is hit by the first that matches it."""

    def __init__(self) -> None:
        self.armed: list[ArmedFeedFault] = []
        self._random = Random(0)

    def add(self, armed: ArmedFeedFault) -> None:
        """Arm a fault."""
        self.armed.append(armed)

    def stalled(self, socket: int, account: str, channel: str, kind: Kind, now_s: float) -> bool:
        """Say whether a stall keeps this frame back."""
        if not self.armed:
            return False
        self._forget(now_s)
        hits = [armed for armed in self.armed if armed.stalls(socket, account, channel, kind)]
        for armed in hits:
            armed.struck += 1
        return bool(hits)

    def take(self, account: str, channel: str, kind: Kind, now_s: float) -> FeedFault | None:
        """Return the fault that hits this frame, if any."""
        if not self.armed:
            return None
        for armed in self.armed:
            if armed.strikes(account, channel, kind, self._random):
                self._forget(now_s)
                return armed.fault
        return None

    def refusal(self, account: str, now_s: float) -> FeedFault | None:
        """Return the fault that refuses this handshake, if any."""
        for armed in self.armed:
            if armed.fault.do == "refuse" and armed.fault.concerns(account):
                armed.struck += 1
                self._forget(now_s)
                return armed.fault
        return None

    def clear(self) -> None:
        """Disarm all of them; chance begins anew."""
        self.armed.clear()
        self._random = Random(0)

    def _forget(self, now_s: float) -> None:
        self.armed = [armed for armed in self.armed if not armed.spent(now_s)]
