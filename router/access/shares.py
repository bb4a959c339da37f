"""Share the venues' limits with the other processes of the journal, beside the commands' way: none waits for it.

Theory of operation. A process has a lease of some seconds, renewed every second, and holds places under it. It renews
counting from before it asked, so its own clock ends the lease before the journal's does. Five times a second it
looks at the scopes where somebody has fewer places than he should; who has more hands some in, saying when each is
free again. Who lacks some asks at once. A process that was buried lost all its places, and begins anew.

While the journal is away the lease goes on, as nobody can hand out what this process holds; but not for a process that
did not run meanwhile: it waits until it has asked.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Final

import structlog

from router.access.limiter import Limiter
from router.access.processes import is_dead, name_this
from router.access.scopes import LOOK_S, Scope
from router.access.windows import Hold, Window
from router.errors import JournalUnavailable
from router.ports import Clock, LimitJournal
from router.records.share import Grant, News, Report

HOLD_US: Final = 4_000_000
RENEW_US: Final = 1_000_000
HOT_S: Final = 0.05
"""The same while anybody lacks some."""
ASK_S: Final = 0.01
"""How soon somebody who asked in vain makes this process ask."""
LIMIT_S: Final = 1.0
"""How long the journal may take to answer before it counts as away."""
MANY: Final = 100

_log = structlog.get_logger(__name__)


class Shares:
    """What this process holds of the limits, and the asking for it. `address`: a name for where requests come from."""

    def __init__(self, journal: LimitJournal, clock: Clock, address: str) -> None:
        self.lease = Hold(0)
        self._journal = journal
        self._clock = clock
        self._address = address
        self._pod = ""
        self._number = 0
        self._scopes: dict[str, Scope] = {}
        self._of: dict[int, list[Scope]] = {}
        self._due: dict[str, int] = {}
        """Scopes to report, and how many places of each are to be handed in."""
        self._short: set[int] = set()
        """Windows that somebody asked in vain."""
        self._told: set[int] = set()
        """Those of them that the journal has heard of lately."""
        self._wake = asyncio.Event()
        self._failing = self._hot = False
        self._well_since_us: int | None = None
        self._renewed_us = self._swept_us = 0

    @property
    def name(self) -> str:
        """The name that the journal knows this process by; empty: none."""
        return self._pod

    @property
    def scopes(self) -> tuple[Scope, ...]:
        """What is shared."""
        return tuple(self._scopes.values())

    def add(self, venue: str, limiter: Limiter, accounts: Iterable[str]) -> None:
        """Share the limits of some accounts of a venue. The limiter must have been made with our lease."""
        for (owner, limit), window in limiter.windows(accounts).items():
            whose = f"address {self._address}" if owner is None else f"account {owner}"
            key = f"{venue}/{limit.scope}/{limit.period_s:g}s/{whose}"
            while key in self._scopes:
                key += "'"
            scopes = [Scope(key, limiter, window, is_cancels=False)]
            if window.cancels.count:
                scopes.append(Scope(f"{key}/cancels", limiter, window, is_cancels=True))
            self._of[id(window)] = scopes
            self._scopes |= {scope.key: scope for scope in scopes}
        limiter.on_short = self._on_short

    async def run(self) -> None:
        """Keep the lease and the shares, until cancelled."""
        while True:
            await self.turn()
            with suppress(TimeoutError):
                async with asyncio.timeout(HOT_S if self._hot else LOOK_S):
                    await self._wake.wait()
                    await self._clock.sleep(ASK_S)  # for whoever comes at the same time
            self._wake.clear()

    async def turn(self) -> None:
        """Look and ask once."""
        began = self._clock.boot_us()
        try:
            async with asyncio.timeout(LIMIT_S):
                news = await self._journal.limit_news()
                await self._bury(news)
                self._read(news)
            while True:
                async with asyncio.timeout(LIMIT_S):
                    if not await self._settle():
                        break
        except (JournalUnavailable, TimeoutError) as error:
            self._away(error)
        else:
            if self._failing:
                _log.info("the shares of the limits are the journal's again")
            self._failing = False
            self._well_since_us = began if self._well_since_us is None else self._well_since_us

    async def release(self) -> None:
        """Hand in everything, and end."""
        self.lease.until_us = 0
        now = self._clock.boot_us()
        held = [scope for scope in self._scopes.values() if scope.places.held]
        try:
            async with asyncio.timeout(LIMIT_S):
                for start in range(0, len(held), MANY):
                    reports = [scope.leave(now) for scope in held[start : start + MANY]]
                    await self._tell(reports)
                await self._journal.bury_pods([self._pod], 0)
        except (JournalUnavailable, TimeoutError) as error:
            _log.info("a share of the limits stays taken for a while", error=str(error))

    def _on_short(self, windows: tuple[Window, ...]) -> None:
        asked = {id(window) for window in windows}
        self._short |= asked
        if not asked <= self._told or any(self._of[window][0].is_blocked for window in asked):
            self._wake.set()

    async def _bury(self, news: News) -> None:
        """End the leases of the dead. Who has just come back leaves the others the time to come back, too."""
        now = self._clock.boot_us()
        dead = [pod for pod in news.pods if pod != self._pod and is_dead(pod)]
        lapsed = any(left_us < 0 for pod, left_us in news.pods.items() if pod != self._pod)
        patient = self._well_since_us is None or now - self._well_since_us < HOLD_US
        if dead or (lapsed and not patient):
            buried = await self._journal.bury_pods(dead, 0 if patient else HOLD_US)
            if buried:
                _log.info("shares of the limits of processes that ended are free", processes=buried)
                self._due = dict.fromkeys(self._scopes, 0) | self._due

    def _read(self, news: News) -> None:
        """Note what is to be reported: what others lack, what this process may have, what is used up or new."""
        now = self._clock.boot_us()
        self._hot = False
        for key, (shares, now_us) in news.hot.items():
            scope = self._scopes.get(key)
            if scope is None:
                continue
            excess = shares.excess(self._pod, now_us)
            if excess or shares.may_have(self._pod, now_us) > 0:
                self._due[key] = excess
            self._hot |= shares.is_short(now_us)
            if shares.blocked_us > now_us:
                until = now + shares.blocked_us - now_us
                scope.window.blocked_until = max(scope.window.blocked_until, until)
                scope.blocked_until = scope.window.blocked_until
        for window in self._short:
            for scope in self._of[window]:
                if scope.is_short(now, new=window not in self._told) or scope.is_blocked:
                    self._due.setdefault(scope.key, 0)
        self._told |= self._short
        self._short.clear()
        if now - self._swept_us >= RENEW_US:
            self._swept_us = now
            self._sweep(now)

    def _sweep(self, now: int) -> None:
        """Once a second: say what has changed, or is still so and would be forgotten."""
        self._told.clear()
        for scope in self._scopes.values():
            if scope.is_news(now):
                self._due.setdefault(scope.key, 0)

    async def _settle(self) -> bool:
        """Report some of what is due, or renew; return whether more is due."""
        if not self._pod:
            pod = name_this()
            await self._journal.join_limits(pod, HOLD_US)
            self._pod, self._due = pod, dict.fromkeys(self._scopes, 0)
        asked = self._clock.boot_us()
        due = {} if self._failing else {key: self._due[key] for key in list(self._due)[:MANY]}
        if not due and asked - self._renewed_us < RENEW_US and not self._failing:
            return False
        waiting = self._waiting(due)
        reports = [self._scopes[key].report(asked, due[key], waiting=waiting[key]) for key in due]
        self._due |= dict.fromkeys(due, 0)  # what was handed in is, whatever comes of it
        grants = await self._tell(reports)
        if grants is None:
            self._lost()
            return True
        self._failing = False
        self.lease.until_us = asked + HOLD_US
        self._renewed_us = asked
        self._take(reports, grants)
        return bool(self._due)

    async def _tell(self, reports: Sequence[Report]) -> Mapping[str, Grant] | None:
        self._number += 1
        return await self._journal.settle_limits(self._pod, HOLD_US, self._number, reports)

    def _waiting(self, due: Collection[str]) -> dict[str, tuple[int, int]]:
        """Return how many wait in each of these scopes' windows: all of them, and cancels."""
        limiters = {id(self._scopes[key].limiter): self._scopes[key].limiter for key in due}
        counted = {name: limiter.waiting() for name, limiter in limiters.items()}
        found = {}
        for key in due:
            scope = self._scopes[key]
            found[key] = counted[id(scope.limiter)].get(id(scope.window), (0, 0))
        return found

    def _take(self, reports: Iterable[Report], grants: Mapping[str, Grant]) -> None:
        """Hold what was given, and let those have it who wait."""
        now = self._clock.boot_us()
        limiters = {}
        for report in reports:
            scope = self._scopes[report.scope]
            scope.take(grants[report.scope], report, now)
            self._due.pop(report.scope, None)
            limiters[id(scope.limiter)] = scope.limiter
        for limiter in limiters.values():
            limiter.serve()

    def _lost(self) -> None:
        """Hold nothing any more: others were given it, as this process did not renew in time."""
        _log.warning("the shares of the limits ran out", process=self._pod)
        self._pod = ""
        self.lease.until_us = 0
        for scope in self._scopes.values():
            scope.places.clear()
            scope.places.elsewhere_us = 0

    def _away(self, error: Exception) -> None:
        """Keep what this process holds, if it held it until now."""
        now = self._clock.boot_us()
        if now < self.lease.until_us:
            self.lease.until_us = max(self.lease.until_us, now + HOLD_US)
        if not self._failing:
            _log.warning("the shares of the limits are kept without the journal", error=str(error))
        self._failing, self._well_since_us = True, None
