"""Read the venue's answers: envelopes, rows, pages."""

import re
from collections.abc import Generator
from typing import Any, Final

from msgspec.json import Decoder

from router.venue_protocol import Refused, Request, Response, Unknown, with_venue_words
from router.venue_protocol.pages import DENIED, Page, unread
from router.venue_protocol.reading import UNREADABLE, decimal, objects, positive
from router.venue_protocol.statuses import by_status, probed
from router.venues.nami.codes import CANCEL, FRAMEWORK, LINES, ORDER_STATUSES
from router.venues.nami.requests import PAGE_SIZE, history, open_orders, trades
from schemas.results import OrderState

MAX_PAGES: Final = 10
_WHOLE_PAGE: Final = 10  # a page may be cut shorter than asked for, but hardly below the documents' example
_decoder: Final = Decoder(dict[str, Any], float_hook=str)  # str keeps the digits the venue wrote
_plain_decoder: Final = Decoder(dict[str, Any])


def decoded(response: Response, decoder: Decoder[dict[str, Any]] = _decoder) -> dict[str, Any] | None:
    """Read an answer as a JSON object, its floats as text; `None` when it is none."""
    try:
        return decoder.decode(response.body)
    except UNREADABLE:
        return None


def peeled(reply: dict[str, Any]) -> tuple[str | None, Any]:
    """Return the status word and the data of the innermost envelope; no word where two envelopes disagree."""
    failed_outside = False
    data = reply.get("data")
    while isinstance(data, dict) and "status" in data and "data" in data:
        failed_outside |= reply.get("status") not in (None, "ok")
        reply, data = data, data["data"]
    word = reply.get("status")
    named = isinstance(word, str) and re.fullmatch(r"[A-Za-z0-9_]{1,64}", word)
    return (word if named and not failed_outside else None), data


def framework(reply: dict[str, Any] | None) -> tuple[int, str] | None:
    """Return what the framework in front of the venue says: a status, and its text or texts; else `None`."""
    status = reply.get("statusCode") if reply else None
    if reply is None or type(status) is not int or not {"message", "error"} & reply.keys():
        return None
    message = reply.get("message")
    texts = [text for text in (message if isinstance(message, list) else [message]) if isinstance(text, str) and text]
    error = reply.get("error")
    return status, "; ".join(texts)[:200] or (error[:200] if isinstance(error, str) else "")


def http_status(response: Response, reply: dict[str, Any] | None) -> int:
    """Return the HTTP status, or the one that the framework's own body names under a milder one."""
    said = framework(reply)
    return said[0] if said is not None and response.status < 500 and said[0] in FRAMEWORK else response.status


def request_id(data: object) -> str:
    """Return the request id that an answer names, for messages."""
    found = data.get("requestId") if isinstance(data, dict) else None
    return f"request {found}" if isinstance(found, str) and re.fullmatch(r"[A-Za-z0-9-]{1,64}", found) else ""


def rows_of(response: Response, *, plain: bool = False) -> list[dict[str, Any]] | None:
    """Return the rows of a list: `data` or `data.orders`; `None` when it is no such answer.

    `plain` leaves numbers numbers. An `ok` beside an error's fields is no list: an envelope may err inside a 200.
    """
    reply = decoded(response, _plain_decoder if plain else _decoder)
    if reply is None or response.status != 200 or framework(reply) is not None or reply.get("error"):
        return None
    word, data = peeled(reply)
    return objects(data.get("orders") if isinstance(data, dict) else data) if word == "ok" else None


def not_read(response: Response, what: str) -> Unknown:
    """Return what a list proves that cannot be read."""
    status = http_status(response, decoded(response))
    return unread(response, f"{what} cannot be read", code=str(status), denied=status in DENIED)


def is_no_page(response: Response) -> bool:
    """Say whether the venue itself refused to show a page: there is none of that number."""
    reply = decoded(response)
    word = peeled(reply)[0] if reply else None
    refused = word == "INVALID_INPUT" or http_status(response, reply) in {400, 404, 422}
    return reply is not None and refused and not isinstance(CANCEL.get(word or ""), Unknown)


class HistoryPages:
    """Read the pages of the history, one after the other.

    Without `short_ends` only a page that brings nothing new ends them: the venue may cut pages shorter than asked, or
    ignore the number. With it a page of fewer than ten ends them too. Page 0 comes last (`and_page_0`): should pages
    begin with it, it holds the newest orders.
    """

    def __init__(self, symbol: str | None, since_ms: int | None, *, short_ends: bool, and_page_0: bool) -> None:
        self._symbol, self._since_ms = symbol, since_ms
        self._short_ends, self._and_page_0 = short_ends, and_page_0
        self._seen: set[str | None] = set()

    def first(self) -> Request:
        """Return the request for page 1."""
        return history(self._symbol, self._since_ms, 1)

    def __call__(self, request: Request, response: Response) -> Page[Response] | Unknown:
        """Return the answer as a page of one row, so that its reader sees it in both decodings."""
        number = int(dict(request.query)["page"])
        rows = rows_of(response)
        if rows is None:
            if number == 0 and is_no_page(response):
                return Page(rows=())
            return not_read(response, "spot/history")
        if self._symbol is not None and any(_is_other(row.get("symbol"), self._symbol) for row in rows):
            return Page(rows=(response,), torn="rows of another symbol: the filter was ignored")
        ids = {decimal(row.get("displayingId")) for row in rows}
        if None in ids:
            return Page(rows=(response,), torn="a row without an id that can be read")
        if number > 1 and len(rows) >= PAGE_SIZE and ids <= self._seen:
            return Page(rows=(response,), torn="a full page again: its number was ignored")
        ended = ids <= self._seen or (self._short_ends and len(rows) < _WHOLE_PAGE)
        self._seen |= ids
        if number == 0:
            return Page(rows=(response,))
        page_0 = history(self._symbol, self._since_ms, 0) if self._and_page_0 else None
        return Page(rows=(response,), more=page_0 if ended else history(self._symbol, self._since_ms, number + 1))


def _is_other(shown: object, asked: str) -> bool:
    """Say whether a row names another symbol, however it is written."""
    return isinstance(shown, str) and bool(shown) and _letters(shown) != _letters(asked)


def _letters(symbol: str) -> str:
    return re.sub(r"[^A-Z0-9]", "", symbol.upper())


def state_of(row: dict[str, Any]) -> OrderState:
    """Read where an order stands."""
    word = row.get("status")
    return OrderState(
        status=ORDER_STATUSES.get(word, "unknown") if isinstance(word, str) else "unknown",
        size=decimal(row.get("quantity")),
        filled_size=decimal(row.get("executedQty")),
        average_price=positive(row.get("executedPrice")),
    )


def probe() -> Generator[Request, Response, Refused | str]:
    """Read what lookups and polls need; the first read that is refused ends it."""
    for request in (open_orders(), history(None, None, 1), trades(None)):
        response = yield request
        if rows_of(response) is not None:
            continue
        reply = decoded(response)
        said, status = framework(reply), http_status(response, reply)
        word = peeled(reply)[0] if reply else None
        text = said[1] if said else ""
        outcome = by_status(response, readable=reply is not None, text=text, lines=LINES, status=status)
        if word is not None and word in CANCEL:
            outcome = with_venue_words(CANCEL[word], word, "")
        return probed(response, request.endpoint, outcome)
    return ""
