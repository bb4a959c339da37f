"""What can be scripted to go wrong: WHEN, before or after the venue acts, times WHAT the client then gets.

    when     what                 the client sees                            the venue acted
    before   drop                 reset, no answer                           no
    after    drop                 reset, no answer                           yes
    …        close                orderly close, no answer                   as above
    …        hang                 nothing, until the server stops
    …        status               `status` with an HTML page
    …        throttle             the venue's own throttle, with Retry-After
    …        maintenance          the venue's own maintenance answer
    …        error                `code` in the venue's own envelope
    …        malformed            200 with a `body` that is broken in one way
    …        truncate             Content-Length beyond the body, then close
    …        reset_after_headers  the head of an answer, then reset
    any      answer               the genuine answer, `delay_s` late         yes
    any      hold                 the genuine answer, once the faults are released or cleared    yes
    any      stale                the genuine answer of a read, from a snapshot taken when the fault was added

`delay_s` goes with every fault; it passes before the venue acts when `when` is `before`, else after it. `hide_s` and
`fill` bend the execution itself, so they go with `answer` or with `after`: the new order stays out of reads for a
while; only a part of it is filled.
"""

import asyncio
from decimal import Decimal
from typing import Literal

from msgspec import Struct

from router.simulator.book import Book

When = Literal["before", "after"]
What = Literal[
    "answer", "drop", "close", "hang", "status", "throttle", "maintenance", "error", "malformed", "truncate",
    "reset_after_headers", "stale", "hold",
]  # fmt: skip
Malformed = Literal["html", "truncated", "content_type", "empty", "gzip_bomb", "not_utf8", "deep"]


class Fault(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One scripted fault.

    `on` is an endpoint's name, an action (`close`, `cancel`, `read`, `session`) or `any`. The first `skip` matching
    requests pass; then it strikes `times` times, or for ever when that is null. `account` empty means every account.
    """

    on: str = "any"
    account: str = ""
    when: When = "before"
    what: What = "answer"
    times: int | None = 1
    skip: int = 0
    delay_s: float = 0.0
    status: int = 502
    code: str = ""
    body: Malformed = "html"
    retry_after_s: float | None = None
    retry_after_form: Literal["seconds", "date"] = "seconds"
    hide_s: float = 0.0
    fill: Decimal | None = None

    @property
    def answers(self) -> bool:
        """Whether the venue's genuine answer is what the client gets."""
        return self.what in {"answer", "stale", "hold"}


class Armed:
    """A fault in the queue. `struck` counts the requests it has hit; `snapshots` are the books when it was added."""

    def __init__(self, fault: Fault, snapshots: dict[str, Book]) -> None:
        self.fault = fault
        self.snapshots = snapshots
        self.struck = 0
        self._passed = 0

    def strikes(self, endpoint: str, action: str, account: str) -> bool:
        """Say whether it hits this request, and count it."""
        fault = self.fault
        if fault.on not in {endpoint, action, "any"} or fault.account not in {"", account}:
            return False
        if fault.what == "stale" and action != "read":
            return False
        if self._passed < fault.skip:
            self._passed += 1
            return False
        self.struck += 1
        return True

    @property
    def spent(self) -> bool:
        """Whether it will strike no more."""
        return self.fault.times is not None and self.struck >= self.fault.times


class FaultQueue:
    """Scripted faults in the order they were added; a request is hit by the first that matches it."""

    def __init__(self) -> None:
        self.armed: list[Armed] = []
        self._released = asyncio.Event()

    def add(self, fault: Fault, snapshots: dict[str, Book]) -> Armed:
        """Arm a fault."""
        self.armed.append(Armed(fault, snapshots))
        return self.armed[-1]

    def take(self, endpoint: str, action: str, account: str) -> Armed | None:
        """Return the fault that hits this request, if any."""
        for armed in self.armed:
            if armed.strikes(endpoint, action, account):
                if armed.spent:
                    self.armed.remove(armed)
                return armed
        return None

    async def held(self) -> None:
        """Wait until what is held now is released."""
        await self._released.wait()

    def release(self) -> None:
        """Let every answer go that is held; what is armed stays armed and holds again."""
        self._released.set()
        self._released = asyncio.Event()

    def clear(self) -> None:
        """Disarm all of them, and let go what is held."""
        self.armed.clear()
        self.release()
