"""Read the answer to a cancel."""

from router.venue_protocol import Accepted, Outcome, Response, Unknown, with_venue_words
from router.venue_protocol.statuses import by_status
from schemas.commands import Cancel, Command

from .codes import CANCEL, LINES
from .reads import decoded


def verdict(command: Command, response: Response) -> Outcome:
    """Believe the venue's words under 200 and 400; else the HTTP status."""
    answer = decoded(response)
    if answer is None or response.status not in {200, 400}:
        return by_status(response, readable=answer is not None, lines=LINES)
    if answer.error:
        return with_venue_words(CANCEL.get(answer.error, Unknown()), answer.error[:50], answer.error)
    if answer.ok and response.status == 200 and isinstance(command, Cancel):
        return Accepted(order_id=command.order_id)
    return Unknown(message="neither taken nor refused")
