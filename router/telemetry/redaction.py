"""Take credentials out of what a venue said.

A venue may quote what it was sent: our keys, and signatures that are good for some seconds more.
"""

import re
from typing import Final, TypeVar

from msgspec.structs import replace

from router.telemetry.logs import redact
from router.venue_protocol import LookOutcome, Outcome, Refused

Seen = TypeVar("Seen", Outcome, LookOutcome, Refused)

MESSAGE: Final = 300
VENUE_CODE: Final = 64

_OPAQUE = re.compile(r"[A-Za-z0-9+/_=.-]{32,}")
"""Long enough for a signature, a token or a key."""
_HARMLESS = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[A-Z]+(_[A-Z0-9]+)+")
"""A venue's request id, which is a UUID, or one of its longer error names."""


def clean(seen: Seen) -> Seen:
    """Return what a venue said without credentials in it, and short enough for a log line and a row."""
    changes: dict[str, str] = {}
    for name, length in (("message", MESSAGE), ("venue_code", VENUE_CODE)):
        text = getattr(seen, name, None)
        if isinstance(text, str) and text:
            changes[name] = _OPAQUE.sub(_masked, redact(text))[:length]
    return replace(seen, **changes) if changes else seen


def _masked(token: re.Match[str]) -> str:
    return token[0] if _HARMLESS.fullmatch(token[0]) else "…"
