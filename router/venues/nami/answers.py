"""Read the answer to a DELETE ("Close Order")."""

from typing import Any, Final

from router.venue_protocol import Done, Look, Outcome, Response, Unknown, with_venue_words
from router.venue_protocol.reading import decimal
from router.venue_protocol.statuses import by_status
from router.venues.nami.codes import CANCEL, FRAMEWORK, LINES
from router.venues.nami.reads import decoded, framework, http_status, peeled, request_id, state_of
from schemas.commands import Cancel, Command

_IN_FRONT: Final = frozenset({401, 403, 418, 429, 503})
"""Statuses that say enough by themselves: the rest needs the framework's words, or the venue's."""


def verdict(command: Command, response: Response) -> Outcome:
    """Decide on the innermost status word; on the HTTP status where the framework or an edge answered."""
    reply = decoded(response)
    status, said = http_status(response, reply), framework(reply)
    word, data = peeled(reply) if reply is not None else (None, None)
    if word == "ok" and status >= 300:
        return Unknown(venue_code=str(status), message="ok and an error")
    if said is not None and said[0] not in FRAMEWORK:
        return Unknown(venue_code=str(said[0]), message=said[1])
    if status in _IN_FRONT or (said is not None and status != response.status):
        return by_status(response, readable=reply is not None, text=said[1] if said else "", lines=LINES, status=status)
    if reply is None or status >= 500:
        return Unknown(venue_code=str(status), message="no answer of the venue's own")
    if said is not None and "status" not in reply:
        return by_status(response, readable=True, text=said[1], lines=LINES, status=status)
    if word == "ok":
        return _canceled(command, data)
    return with_venue_words(CANCEL.get(word or "", Unknown()), word, request_id(data))


def _canceled(command: Command, data: Any) -> Outcome:
    """Believe an `ok` only when it shows our order canceled."""
    if not isinstance(data, dict) or "displayingId" not in data:
        named = request_id(data)
        return Unknown(venue_code="ok", message=named) if named else Look(venue_code="ok")
    order_id = command.order_id if isinstance(command, Cancel) else None
    if data.get("status") == "CANCELED" and order_id is not None and decimal(data["displayingId"]) == order_id:
        return Done(order_id=order_id, order=state_of(data), venue_code="ok")
    return Look(venue_code="ok", message="the order shown is not ours or not canceled")
