"""How the processes of a journal share a limit: what is stored of it, and who is to hold how many places.

A limit is so many places (`router.access.places`). Each is in one process's hands or in the pool, where it says when it
is free again. Only what is handed in is handed out, so all hands together never hold more than there are.
"""

from collections.abc import Collection, Mapping
from typing import Final

from msgspec import Struct, field

FORGET_US: Final = 4_000_000
"""A need that was reported longer ago than this is none any more."""
GRAIN: Final = 100
"""Places of the pool that are free within a hundredth of a period of each other are counted together."""


class Report(Struct, frozen=True, kw_only=True):
    """What a process says of its share of a scope. Times are microseconds from when it said so.

    `count`: how many places there are; `batch`: how many it keeps ready at most without need. `long`: places that were
    used go back to the pool. `held`: how many it has; `returned`: in how long each of those is free that it gave up;
    `need`: how many it could use. `blocked_us`: how long the venue wants to hear nothing. `leaving`: it ends.
    """

    scope: str
    count: int
    period_us: int
    batch: int
    long: bool
    held: int
    returned: tuple[int, ...] = ()
    need: int = 0
    blocked_us: int = 0
    leaving: bool = False

    def kept(self) -> "Grant":
        """Return the grant that changes nothing."""
        return Grant(
            scope=self.scope, held=self.held, granted=(), target=self.held, next_us=None, blocked_us=0, hot=False
        )


class Grant(Struct, frozen=True, kw_only=True):
    """What the journal answers to a report.

    `held`: how many of the reported places are the process's own; more were never given to it. `granted`: in how many
    microseconds each place is free that it has besides. `target`: how many it should have. `next_us`: in how long the
    pool has another place, `None` while there is none in it. `hot`: some process has fewer than it should have.
    """

    scope: str
    held: int
    granted: tuple[int, ...]
    target: int
    next_us: int | None
    blocked_us: int
    hot: bool


class Need(Struct, frozen=True, array_like=True):
    """How many places a process could use, and when it said so."""

    places: int
    at_us: int


class Holdings(Struct, kw_only=True):
    """What is stored of a scope. Times are the journal's. `pool` maps a time to how many places are free from then on.

    `count`, `batch` and `long` are as reported last.
    """

    count: int = 0
    batch: int = 0
    long: bool = False
    held: dict[str, int] = field(default_factory=dict)
    needs: dict[str, Need] = field(default_factory=dict)
    pool: dict[int, int] = field(default_factory=dict)
    blocked_us: int = 0

    def settle(self, pod: str, alive: Collection[str], report: Report, now_us: int, *, since_us: int = 0) -> Grant:
        """Take a process's report, and give it what it should have and the pool has.

        `alive`: the processes that have a lease, this one among them. Nothing that was in use before `since_us`, when
        the clock went on after a break, is free sooner than a period after that.
        """
        self.count, self.batch, self.long = report.count, report.batch, report.long
        if since_us:
            self._rest(since_us + report.period_us)
        self._put(0, sum(self.pool.pop(free_us) for free_us in [us for us in self.pool if us <= now_us]))
        self._bury(alive, now_us + report.period_us)
        mine = min(self.held.get(pod, 0), report.held)
        self._take_back(self.held.get(pod, 0) - mine, report, now_us)
        self.held[pod] = mine
        self.needs[pod] = Need(report.need, now_us)
        if report.leaving:
            self._put(now_us + report.period_us, self.held.pop(pod))
            mine = 0
        self._resize()
        self.blocked_us = max(self.blocked_us, now_us + report.blocked_us if report.blocked_us else 0)
        target = self.targets(now_us).get(pod, 0)
        granted = self._hand_out(target - mine, now_us)
        if not report.leaving:
            self.held[pod] = mine + len(granted)
        return Grant(
            scope=report.scope,
            held=mine,
            granted=granted,
            target=target,
            next_us=max(min(self.pool) - now_us, 0) if self.pool else None,
            blocked_us=max(self.blocked_us - now_us, 0),
            hot=self.is_short(now_us),
        )

    def targets(self, now_us: int) -> dict[str, int]:
        """Return how many places each process should hold.

        First what each needs, equally where it is not enough for all; of what is left each alike, and as much stays in
        the pool, for whoever needs it next: a round trip away.
        """
        ready = sum(self.held.values()) + self._ready(now_us)
        needs = {pod: self._need(pod, now_us) for pod in sorted(self.held)}
        given = shared_out(needs, ready)
        left = ready - sum(given.values())
        each = left if len(given) < 2 else max(left // (2 * len(given)), int(left >= len(given)))
        return {pod: max(least, min(least + each, self.batch)) for pod, least in given.items()}

    def _short(self, now_us: int) -> int:
        """Return how many places processes lack that the pool has not."""
        return max(self._lacking(now_us) - self._ready(now_us), 0)

    def is_short(self, now_us: int) -> bool:
        """Say whether any process has fewer places than it should have."""
        return self._lacking(now_us) > 0

    def excess(self, pod: str, now_us: int) -> int:
        """Return how many of its places a process is to hand in now."""
        target = self.targets(now_us).get(pod)
        return 0 if target is None else max(min(self.held[pod] - target, self._short(now_us)), 0)

    def may_have(self, pod: str, now_us: int) -> int:
        """Return how many places the pool has for a process now."""
        target = self.targets(now_us).get(pod)
        return 0 if target is None else min(target - self.held[pod], self._ready(now_us))

    def _lacking(self, now_us: int) -> int:
        return sum(max(target - self.held[pod], 0) for pod, target in self.targets(now_us).items())

    def _need(self, pod: str, now_us: int) -> int:
        need = self.needs.get(pod)
        return 0 if need is None or need.at_us < now_us - FORGET_US else need.places

    def _ready(self, now_us: int) -> int:
        """Return how many places of the pool may be handed out: of a long period only those that are free."""
        return sum(places for free_us, places in self.pool.items() if not self.long or free_us <= now_us)

    def _bury(self, alive: Collection[str], free_us: int) -> None:
        """Take over what processes held that are no more: they may have used it until a moment ago."""
        for pod in [pod for pod in self.held if pod not in alive]:
            self._put(free_us, self.held.pop(pod))
            self.needs.pop(pod, None)

    def _take_back(self, places: int, report: Report, now_us: int) -> None:
        """Put into the pool what a process does not hold any more. What it does not account for it may have used."""
        grain_us = max(report.period_us // GRAIN, 1)
        for left_us in report.returned[:places]:
            free_us = now_us + left_us
            self._put(-(-free_us // grain_us) * grain_us if left_us else 0, 1)
        self._put(now_us + report.period_us, places - len(report.returned[:places]))

    def _resize(self) -> None:
        """Let there be as many places as are configured. What is too much and in use goes when it is handed in."""
        missing = self.count - sum(self.held.values()) - sum(self.pool.values())
        self._put(0, max(missing, 0))
        while missing < 0 and self.pool:
            first = min(self.pool)
            gone = min(self.pool[first], -missing)
            missing += gone
            self._put(first, -gone)

    def _hand_out(self, places: int, now_us: int) -> tuple[int, ...]:
        """Take places out of the pool, those first that are free first, and say in how long each is free."""
        out: list[int] = []
        for free_us in sorted(self.pool):
            if len(out) >= places or (self.long and free_us > now_us):
                break
            some = min(self.pool[free_us], places - len(out))
            out += [max(free_us - now_us, 0)] * some
            self._put(free_us, -some)
        return tuple(out)

    def _rest(self, free_us: int) -> None:
        for earlier in [us for us in self.pool if 0 < us < free_us]:
            self._put(free_us, self.pool.pop(earlier))

    def _put(self, free_us: int, places: int) -> None:
        total = self.pool.pop(free_us, 0) + places
        if total > 0:
            self.pool[free_us] = total


def shared_out(needs: Mapping[str, int], places: int) -> dict[str, int]:
    """Share places out by need: everybody who needs less than an equal part has it, the others equally of the rest."""
    given: dict[str, int] = {}
    waiting = sorted(needs, key=lambda pod: (needs[pod], pod))
    for number, pod in enumerate(waiting):
        equal = places // (len(waiting) - number)
        given[pod] = min(needs[pod], equal)
        places -= given[pod]
    return given


class News(Struct, frozen=True):
    """What every process looks at: how many microseconds each lease has left, and the hot scopes.

    With each scope comes what the journal's clock showed.
    """

    pods: Mapping[str, int]
    hot: Mapping[str, tuple[Holdings, int]]
