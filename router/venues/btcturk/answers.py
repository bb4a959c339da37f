"""Read the answer to a cancel: its message decides, then the HTTP status."""

from router.venue_protocol import Accepted, Outcome, Response, Retry, Unknown, with_venue_words
from router.venue_protocol.statuses import by_status, waited
from router.venues.btcturk.codes import LINES, SUCCESS
from router.venues.btcturk.reads import decoded, meaning
from schemas.commands import Cancel, Command


def verdict(command: Command, response: Response) -> Outcome:
    """Believe a success only where nothing contradicts it: `success` was true in refusals (issue 147)."""
    if not isinstance(command, Cancel):
        return Unknown(message="no such command is ever sent here")
    answer = decoded(response)
    if answer is None:
        return by_status(response, readable=False, lines=LINES)
    if answer.succeeded:
        if response.status == 200 and answer.said in SUCCESS:
            return Accepted(order_id=command.order_id)
        return Unknown(venue_code="0", message=f"HTTP {response.status}, and a success that is none")
    outcome = meaning(response, answer)
    if outcome is None:
        return by_status(response, readable=True, code=answer.name, text=answer.message or "", lines=LINES)
    if response.status >= 500 and not isinstance(outcome, Retry):
        outcome = Unknown()  # a gateway's error says nothing about the order, whatever its body repeats
    return with_venue_words(waited(outcome, response), answer.name, answer.message or f"HTTP {response.status}")
