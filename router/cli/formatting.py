"""One readable line for a result, and one for an order event; and any line without what a terminal would obey."""

from schemas.events import OrderEvent
from schemas.results import Result


def shown(line: str) -> str:
    """Return one line as it may be printed: what comes from outside could set a terminal's title or forge a line."""
    return line if line.isprintable() else "".join(map(_escaped, line))


def _escaped(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()


def result_line(result: Result) -> str:
    """Say what came of a command: outcome, why, which order, in which state, and how that is known."""
    parts = [result.outcome, f"{result.action or 'command'} {result.venue or '?'}/{result.account or '?'}"]
    if result.reason is not None:
        code = f"{result.reason.code} ({result.reason.venue_code})" if result.reason.venue_code else result.reason.code
        parts.append(f"{code}: {result.reason.message}" if result.reason.message else code)
    if result.order_id is not None:
        parts.append(f"order {result.order_id}")
    if result.order is not None:
        filled = (
            f", filled {result.order.filled_size} of {result.order.size or '?'}" if result.order.filled_size else ""
        )
        parts.append(f"{result.order.status}{filled}")
    parts.append(f"by {result.evidence}")
    notes = {"dry run": result.dry_run, "repeated": result.duplicate, "not final": not result.final}
    parts += [note for note, holds in notes.items() if holds]
    return shown("  ".join(parts))


def event_line(event: OrderEvent) -> str:
    """Say what became of an order: its number among the account's, the state, at which price, and how that is known."""
    parts = [f"event seq {event.seq}", f"{event.venue}/{event.account}", f"order {event.order_id}"]
    price = event.last_fill.price if event.last_fill else None
    at = f" at {price}" if price else ""
    status = "" if event.status == "filled" else f"{event.status}, "
    parts.append(f"{status}filled {event.filled_size} of {event.size or '?'}{at}")
    if event.cancel_reason:
        parts.append(event.cancel_reason)
    parts.append(f"by {event.source}")
    return shown("  ".join(parts))
