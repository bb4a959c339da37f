"""What an HTTP status means for the one request that acts, where the venue's own words do not say.

One table for all venues; a venue replaces a line with one of its own, which says why (`StatusRule.why`). A body is
*readable* when it is the venue's own: what an edge, a proxy or a load balancer writes is not. Statuses that are not
here, every 5xx among them, prove nothing: the request may have been executed. 400 is a venue's own affair: some put
every refusal under it, and one that is not listed there proves nothing.
"""

import re
from collections.abc import Mapping
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from router.venue_protocol.outcome import Outcome, Refused, Retry, Unknown, with_venue_words
from router.venue_protocol.request import Response, retry_after_s


class StatusRule(Struct, frozen=True, kw_only=True):
    """What one status means with a readable body and without, and why."""

    readable: Outcome
    unreadable: Outcome
    why: str


_UNAUTHORIZED: Final = Retry(code="auth_failed", after_s=0.5, tries=2)
_FORBIDDEN: Final = Refused(code="account_restricted", alert=True)
_THROTTLED: Final = Retry(code="rate_limited", after_s=1.0)
_NO_ROUTE: Final = Refused(code="venue_rejected", alert=True)
_BAD: Final = Refused(code="invalid_command")
_NOBODYS: Final = (
    "the venue's own refusal; a page without its words may be a proxy's, in front of an answer that was lost"
)

DEFAULTS: Final[Mapping[int, StatusRule]] = {
    401: StatusRule(
        readable=_UNAUTHORIZED,
        unreadable=_UNAUTHORIZED,
        why="decided before the order is looked at, by the venue or in front of it; sporadic at every venue, so a few"
        " tries are worth it. More would get the address blocked",
    ),
    403: StatusRule(
        readable=_FORBIDDEN,
        unreadable=_FORBIDDEN,
        why="this key or this address may not: the request went no further",
    ),
    404: StatusRule(readable=_NO_ROUTE, unreadable=Unknown(), why=_NOBODYS),
    405: StatusRule(readable=_NO_ROUTE, unreadable=Unknown(), why=_NOBODYS),
    415: StatusRule(readable=_NO_ROUTE, unreadable=Unknown(), why=_NOBODYS),
    422: StatusRule(readable=_BAD, unreadable=Unknown(), why=_NOBODYS),
    429: StatusRule(readable=_THROTTLED, unreadable=_THROTTLED, why="a throttle stands in front of what executes"),
}

_ABOUT_TIME: Final = re.compile(
    r"(timestamp|nonce|clock|token|nbf|stamp)\W.{0,40}(expired|too (late|early|old)|ahead|future|past|not yet|outside)"
    r"|\b(expired|stale) (timestamp|nonce|token)|invalid (timestamp|nonce)\b|recv_?window",
    re.IGNORECASE,
)


def by_status(
    response: Response,
    *,
    readable: bool,
    code: str | None = None,
    text: str = "",
    lines: Mapping[int, StatusRule] = {},
    status: int | None = None,
) -> Outcome:
    """Return what the status means, in the venue's words where it had any.

    `lines` are the venue's own, `status` the one that its body names instead of the answer's. A refused timestamp is
    told from other refusals of a key by its words: the core then signs by the venue's clock.
    """
    status = response.status if status is None else status
    line = lines.get(status) or DEFAULTS.get(status)
    outcome: Outcome = Unknown()
    if line is not None:
        outcome = line.readable if readable else line.unreadable
    if isinstance(outcome, Retry) and outcome.code == "auth_failed" and is_about_time(text):
        outcome = replace(outcome, code="clock_skew")
    words = text or f"HTTP {status}" + ("" if readable else " without a body of the venue's own")
    return with_venue_words(waited(outcome, response), code or str(status), words)


def waited(outcome: Outcome, response: Response) -> Outcome:
    """Replace the pause of a throttle or a maintenance by the venue's hint, a second at least."""
    if isinstance(outcome, Retry) and outcome.code in {"rate_limited", "venue_maintenance"}:
        return replace(outcome, after_s=max(retry_after_s(response, outcome.after_s), 1.0))
    return outcome


def is_about_time(text: str) -> bool:
    """Say whether a refusal speaks of our timestamp rather than of our key. unverified: every venue's wording."""
    return _ABOUT_TIME.search(text) is not None


def probed(response: Response, what: str, outcome: Outcome, text: str = "") -> Refused:
    """Say why a read that a lookup will need is refused: the outcome's own code, or that no answer can be read."""
    code = outcome.code if isinstance(outcome, Refused | Retry) else "venue_unavailable"
    named = getattr(outcome, "venue_code", None) or str(response.status)
    message = text or getattr(outcome, "message", "") or "no readable answer"
    alert = code in {"auth_failed", "account_restricted"}
    message = message.removeprefix(f"{what}: ")
    return Refused(code=code, venue_code=named, message=f"{what}: {message}"[:200], alert=alert)
