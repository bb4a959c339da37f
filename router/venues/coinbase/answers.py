"""Read the answer to a close or a cancel: a refusal is an HTTP 200 with `success` false."""

from typing import Final

from router.venue_protocol import Accepted, Outcome, Response, Unknown, with_venue_words
from router.venue_protocol.statuses import by_status
from router.venues.coinbase.codes import CANCEL_REASONS, CLOSE_REASONS, LINES, PLACEHOLDERS
from router.venues.coinbase.reads import Body, ErrorBody, Made, decoded
from router.venues.coinbase.requests import is_path_segment
from schemas.commands import Cancel, Close, Command

_BEFORE_PROCESSING: Final = frozenset({401, 403, 429})
_OWN: Final = frozenset({200, 400, 404})
_NEVER_OURS: Final = frozenset({405, 415, 422})


def verdict(command: Command, response: Response) -> Outcome:
    """Believe the venue's reasons where the venue itself can have answered; else its HTTP status."""
    reply = decoded(response)
    if reply is not None and not reply.is_own():
        reply = None
    named = reply if isinstance(command, Close) else None
    if response.status in _BEFORE_PROCESSING:
        if reply is not None and reply.claims_success():
            return _doubt(response, "a refused request that claims success", named)
        return _by_status(response, reply)
    if reply is None or response.status not in _OWN | _NEVER_OURS:
        return _doubt(response, "no answer of the venue's own", named)
    if response.status in _NEVER_OURS and (reply.success is not None or reply.claims_success()):
        return _doubt(response, "a result under a status that has none", named)
    if isinstance(command, Close):
        return _close_verdict(command, response, reply)
    return _cancel_verdict(command, response, reply)


def _close_verdict(command: Close, response: Response, reply: Body) -> Outcome:
    fault = reply.error_response or ErrorBody()
    specific = [reason for reason in fault.reasons() if reason not in PLACEHOLDERS]
    text = fault.error_details or fault.message
    if reply.success:
        made = reply.success_response or Made()
        other = {made.order_id or reply.order_id, reply.order_id or made.order_id}
        another = len(other) > 1 or made.product_id not in {None, "", command.symbol}
        failed = reply.error_response is not None or reply.failure_reason not in {None, "", *PLACEHOLDERS}
        if another or failed or response.status != 200 or not reply.made_id():
            named = reply if len(other) == 1 else None
            return _doubt(response, "success and something that contradicts it", named)
        return Accepted(order_id=reply.made_id())
    if reply.made_id():
        return _doubt(response, "a failure that names an order", reply)
    if reply.success is None:
        return _generic_verdict(command, response, reply)
    reason = next(iter((*specific, *fault.reasons())), None)
    return _said(CLOSE_REASONS.get(reason or "", Unknown()), reason, text)


def _cancel_verdict(command: Command, response: Response, reply: Body) -> Outcome:
    if reply.results is None and not reply.claims_success():
        return _generic_verdict(command, response, reply)
    order_id = command.order_id if isinstance(command, Cancel) else None
    rows = [row for row in reply.results or () if row.order_id == order_id]
    if len(rows) != 1 or response.status != 200:
        return _doubt(response, "not one row for this order")
    reason = rows[0].failure_reason
    if rows[0].success is False:
        return _said(CANCEL_REASONS.get(reason or "", Unknown()), reason, None)
    if rows[0].success and reason in {None, "", "UNKNOWN_CANCEL_FAILURE_REASON"}:
        return Accepted(order_id=order_id)
    return _doubt(response, "success and a reason for failure")


def _generic_verdict(command: Command, response: Response, reply: Body) -> Outcome:
    """Classify an answer that lacks what this action's answer has: only an error status says what it means."""
    if response.status == 200 or reply.error_response is not None or reply.results is not None:
        return _doubt(response, "no result")
    reasons = CLOSE_REASONS if isinstance(command, Close) else CANCEL_REASONS
    if reply.error is not None and reply.error in reasons and response.status in _OWN:
        return _said(reasons[reply.error], reply.error, reply.text())
    return _by_status(response, reply)


def _by_status(response: Response, reply: Body | None) -> Outcome:
    code, text = (reply.code(), reply.text()) if reply is not None else (None, "")
    return by_status(response, readable=reply is not None, code=code, text=text, lines=LINES)


def _said(outcome: Outcome, reason: str | None, text: str | None) -> Outcome:
    return with_venue_words(outcome, reason and reason[:100], text or "")


def _doubt(response: Response, message: str, reply: Body | None = None) -> Unknown:
    """Return what proves nothing; with the order that the reply to a close names, if it can be asked for."""
    made = reply.made_id() if reply else None
    named = made if made and len(made) <= 100 and is_path_segment(made) else None
    return Unknown(venue_code=str(response.status), message=message, order_id=named)
