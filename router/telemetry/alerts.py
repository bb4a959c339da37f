"""What an operator must know within a second: a board of troubles, and the messages that are due about them.

A trouble is one code at one venue and account. A *standing* one lasts until it is cleared: the journal is down, a feed
has a gap. Any other one is a moment, a dead letter for example, and counts as over when none came for five minutes.

Of each trouble one message goes out at once, one more at most every 60 s while it goes on happening, and one that says
that it is over. Pure but for the times it is given; nothing of it is stored: a new process finds what still stands.
"""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from router.clock import to_time
from schemas.alerts import Alert, AlertCode, Severity
from schemas.ids import alert_id

EVERY_US: Final = 60_000_000
QUIET_US: Final = 300_000_000
NAMED: Final = 10
"""How many commands an alert names."""
MESSAGE: Final = 300
TROUBLES: Final = 1_000
"""So many are kept; what comes beyond that is in the log alone."""

SEVERITY: Final[Mapping[AlertCode, Severity]] = {
    "in_doubt_too_long": "page",
    "unresolved": "page",
    "contradiction": "page",
    "auth_failed": "page",
    "account_restricted": "page",
    "clock_skew": "page",
    "journal_down": "page",
    "journal_restored": "page",
    "feed_gap": "ticket",
    "feed_down": "page",
    "dead_letter": "ticket",
    "result_diverted": "ticket",
    "row_unreadable": "ticket",
}
OF_A_KEY: Final[tuple[AlertCode, ...]] = ("auth_failed", "account_restricted", "clock_skew")
"""Over as soon as the venue takes a request of that account."""


def of_a_key(code: str) -> AlertCode:
    """Return what to call a refusal that an operator must mend at the venue."""
    return next((known for known in OF_A_KEY if known == code), "account_restricted")


Place = tuple[AlertCode, str | None, str | None]


class _Trouble(Struct):
    since_us: int
    last_us: int
    standing: bool
    message: str = ""
    count: int = 0
    told_count: int = 0
    told_us: int = 0
    over: bool = False
    commands: tuple[str, ...] = ()


class AlertBoard:
    """The troubles that this process knows of."""

    def __init__(self) -> None:
        self._troubles: dict[Place, _Trouble] = {}
        self._raised: list[tuple[Place, str, str, bool]] = []

    def raised(
        self,
        code: AlertCode,
        venue: str | None = None,
        account: str | None = None,
        *,
        message: str = "",
        command_id: str = "",
        standing: bool = False,
    ) -> None:
        """Note that something is wrong. A standing trouble that stands already is not counted again."""
        if len(self._raised) < TROUBLES:
            self._raised.append(((code, venue, account), message[:MESSAGE], command_id, standing))

    def cleared(self, code: AlertCode, venue: str | None = None, account: str | None = None) -> None:
        """Note that a standing trouble is over."""
        if self._raised:
            self._raised = [entry for entry in self._raised if entry[0] != (code, venue, account)]
        trouble = self._troubles.get((code, venue, account))
        if trouble is not None:
            trouble.over = True

    def key_works(self, venue: str, account: str) -> None:
        """Note that the venue took a request of the account: its key is good, and the clock."""
        if self._troubles or self._raised:
            for code in OF_A_KEY:
                self.cleared(code, venue, account)

    def due(self, now_us: int) -> list[Alert]:
        """Return what is to be told now; it counts as told. Microseconds since 1970."""
        self._take_in(now_us)
        alerts = []
        for place, trouble in list(self._troubles.items()):
            if not trouble.standing and now_us - trouble.last_us >= QUIET_US:
                trouble.over = True
            if trouble.over:
                del self._troubles[place]
                if trouble.told_count:
                    alerts.append(_alert(place, trouble, now_us))
            elif trouble.count > trouble.told_count and now_us - trouble.told_us >= EVERY_US:
                trouble.told_count, trouble.told_us = trouble.count, now_us
                alerts.append(_alert(place, trouble, now_us))
        return alerts

    def _take_in(self, now_us: int) -> None:
        raised, self._raised = self._raised, []
        for place, message, command_id, standing in raised:
            trouble = self._troubles.get(place)
            if trouble is None:
                if len(self._troubles) >= TROUBLES:
                    continue
                trouble = self._troubles[place] = _Trouble(now_us, now_us, standing)
            elif standing and not trouble.over:
                continue
            trouble.over, trouble.last_us = False, now_us
            trouble.count += 1
            trouble.message = message or trouble.message
            if command_id and command_id not in trouble.commands:
                trouble.commands = (*trouble.commands, command_id)[-NAMED:]


def _alert(place: Place, trouble: _Trouble, now_us: int) -> Alert:
    code, venue, account = place
    return Alert(
        alert_id=alert_id(code, venue, account, now_us // EVERY_US, resolved=trouble.over),
        code=code,
        severity=SEVERITY[code],
        venue=venue,
        account=account,
        command_ids=trouble.commands,
        count=trouble.count,
        message=trouble.message,
        resolved=trouble.over,
        since=to_time(trouble.since_us),
        at=to_time(now_us),
    )
