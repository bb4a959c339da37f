"""Read the venue's answers."""

from collections.abc import Generator
from typing import Any

from msgspec import Struct
from msgspec.json import Decoder

from router.venue_protocol import Refused, Request, Response, Unknown
from router.venue_protocol.pages import Listing, Page, read_all, unread
from router.venue_protocol.reading import UNREADABLE
from router.venue_protocol.statuses import by_status, probed

from . import requests
from .codes import LINES

ROWS = 50


class Order(Struct, frozen=True, kw_only=True):
    """A row of the orders."""

    id: str
    status: str
    size: str | None = None


class Answer(Struct, frozen=True, kw_only=True):
    """Any answer: `ok`, an error, or rows."""

    ok: bool = False
    error: str | None = None
    book: tuple[Order, ...] | None = None


_decoder: Decoder[Answer] = Decoder(Answer, float_hook=str)


def decoded(response: Response) -> Answer | None:
    """Read an answer; `None` when it is none of this venue's."""
    try:
        return _decoder.decode(response.body)
    except UNREADABLE:
        return None


def read_orders() -> Listing[Order]:
    """Read all orders."""
    return read_all(requests.orders(1), _page_of, most_pages=20)


def _page_of(request: Request, response: Response) -> Page[Order] | Unknown:
    answer = decoded(response)
    if answer is None or answer.error or answer.book is None or response.status != 200:
        return unread(response, "orders cannot be read")
    page = int(dict(request.query)["page"])
    return Page(rows=answer.book, more=requests.orders(page + 1) if len(answer.book) >= ROWS else None)


def probe() -> Generator[Request, Response, Refused | str]:
    """Read one page."""
    response = yield requests.orders(1)
    found: Any = _page_of(requests.orders(1), response)
    if isinstance(found, Page):
        return ""
    return probed(response, "orders", by_status(response, readable=decoded(response) is not None, lines=LINES))
