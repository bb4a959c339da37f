"""Read the answer to closeOrder or cancelOrder: `status` and `message_code` decide, at any HTTP status."""

from msgspec import UNSET

from router.venue_protocol import Accepted, Outcome, Response, Retry, Unknown, with_venue_words
from router.venue_protocol.pages import DENIED
from router.venue_protocol.reading import UNREADABLE, is_id
from router.venue_protocol.statuses import by_status
from router.venues.gmo_coin.codes import CANCEL, CLOSE, LINES
from router.venues.gmo_coin.reads import Envelope, any_answer
from schemas.commands import Cancel, Close, Command


def verdict(command: Command, response: Response) -> Outcome:
    """Believe the venue's codes; at 5xx only those that say "not processed"."""
    try:
        answer = any_answer.decode(response.body)
    except UNREADABLE:
        return by_status(response, readable=False, lines=LINES)
    if answer.status == 0:
        return _success(command, response, answer)
    if answer.data not in (UNSET, None, {}):
        return _doubt(command, response, answer)
    if not answer.messages:
        refused = response.status in DENIED
        return by_status(response, readable=False) if refused else _doubt(command, response, answer)
    table = CLOSE if isinstance(command, Close) else CANCEL
    outcomes = [table.get(message.message_code, _unlisted(response)) for message in answer.messages]
    doubt = next((n for n, outcome in enumerate(outcomes) if isinstance(outcome, Unknown)), 0)
    code, text = answer.messages[doubt].message_code[:32], answer.messages[doubt].message_string
    if response.status >= 500 and not isinstance(outcomes[doubt], Retry):
        return Unknown(venue_code=code, message=f"HTTP {response.status}: {text}"[:200])
    return with_venue_words(outcomes[doubt], code, text)


def _unlisted(response: Response) -> Outcome:
    """Return what a code means that is in no table: nothing, unless the HTTP status refuses the key."""
    return by_status(response, readable=True) if response.status in DENIED else Unknown()


def _success(command: Command, response: Response, answer: Envelope[object]) -> Outcome:
    """A close is answered with its order's id, a cancel with no data at all; nothing else is success."""
    if response.status == 200 and not answer.messages:
        order_id = _named(command, answer)
        if order_id is not None:
            return Accepted(order_id=order_id)
        if isinstance(command, Cancel) and answer.data in (UNSET, None):
            return Accepted(order_id=command.order_id)
    return _doubt(command, response, answer)


def _doubt(command: Command, response: Response, answer: Envelope[object]) -> Unknown:
    kind = (
        "status 0, but not the documented success" if answer.status == 0 else f"status {answer.status}, no clear error"
    )
    return Unknown(message=f"HTTP {response.status}, {kind}", order_id=_named(command, answer))


def _named(command: Command, answer: Envelope[object]) -> str | None:
    """Return the order that an answer to a close names, as text or as a number, however odd the rest of it is."""
    data = str(answer.data) if type(answer.data) in {str, int} and isinstance(command, Close) else ""
    return data if is_id(data) else None
