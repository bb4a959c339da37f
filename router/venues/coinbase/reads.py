"""Read the venue's answers: the generic reply, orders, pages."""

from collections.abc import Generator
from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.json import Decoder

from router.venue_protocol import Refused, Request, Response, Unknown
from router.venue_protocol.pages import Listing, Page, Reading, read_all, unread
from router.venue_protocol.reading import UNREADABLE, converted
from router.venue_protocol.statuses import by_status, probed
from router.venues.coinbase import requests
from router.venues.coinbase.codes import LINES
from router.venues.coinbase.requests import is_path_segment
from router.venues.coinbase.rows import CancelRow, OrderRow, PositionRow, Row

_MAX_PAGES: Final = 20
_NOBODYS: Final = "00000000-0000-0000-0000-000000000000"


class Made(Struct, frozen=True, kw_only=True):
    """`success_response`: the order that was made."""

    order_id: str | None = None
    product_id: str | None = None


class ErrorBody(Struct, frozen=True, kw_only=True):
    """`error_response`: why none was."""

    error: str | None = None
    message: str | None = None
    error_details: str | None = None
    preview_failure_reason: str | None = None
    new_order_failure_reason: str | None = None

    def reasons(self) -> tuple[str, ...]:
        """Return what it names, the most authoritative first; the last two are deprecated."""
        return tuple(filter(None, (self.new_order_failure_reason, self.error, self.preview_failure_reason)))


class Body(Struct, frozen=True, kw_only=True):
    """Any answer of this API; each endpoint fills some of it. `error` to `errors` are the generic error bodies."""

    success: bool | None = None
    success_response: Made | None = None
    error_response: ErrorBody | None = None
    results: tuple[CancelRow, ...] | None = None
    order_id: str | None = None
    failure_reason: str | None = None
    error: str | None = None
    message: str | None = None
    error_details: str | None = None
    errors: Any = None
    order: Row | None = None
    positions: tuple[PositionRow, ...] | None = None
    orders: tuple[Row, ...] | None = None
    fills: tuple[Row, ...] | None = None
    has_next: bool | None = None
    cursor: str | None = None
    proof_token_required: Any = None
    can_view: bool | None = None
    can_trade: bool | None = None
    portfolio_uuid: str | None = None

    def made_id(self) -> str | None:
        """Return the id of the order that it says was made; older replies carry it at the top too."""
        return (self.success_response.order_id if self.success_response else None) or self.order_id

    def claims_success(self) -> bool:
        """Say whether anything in it speaks of an order made or a cancel taken."""
        return bool(self.success or self.made_id() or any(row.success for row in self.results or ()))

    def is_own(self) -> bool:
        """Say whether it is this API's at all: any JSON object can be read as one, a gateway's as well."""
        return any(getattr(self, name) is not None for name in self.__struct_fields__)

    def hides_rows(self) -> bool:
        """Say whether the venue hides rows until it gets a proof (Strong Customer Authentication)."""
        return self.proof_token_required not in (None, False)

    def text(self) -> str:
        """Return the venue's own words, for messages."""
        return self.error_details or self.message or self._first("message")

    def code(self) -> str | None:
        """Return what the generic error body calls the error."""
        return (self.error or self._first("id"))[:100] or None

    def _first(self, name: str) -> str:
        """Return a field of the first of `errors`, the older form."""
        first = self.errors[0] if isinstance(self.errors, list) and self.errors else None
        found = first.get(name) if isinstance(first, dict) else None
        return found if isinstance(found, str) else ""


_decoder: Final[Decoder[Body]] = Decoder(Body, float_hook=str)  # a number where a string is due keeps its text


def decoded(response: Response) -> Body | None:
    """Read an answer; `None` when it is none of this API's."""
    try:
        return _decoder.decode(response.body)
    except UNREADABLE:
        return None


def shown(response: Response, what: str) -> Body | Unknown:
    """Return a successful read that hides nothing. A 200 may hold an error instead of what was asked for."""
    reply = decoded(response)
    if reply is None or response.status != 200 or reply.error or reply.errors:
        return unread(response, f"{what} cannot be read{': ' + reply.text() if reply and reply.text() else ''}")
    return reply


def typed(row: object, kind: str) -> OrderRow | Unknown:
    """Read a row of a list."""
    return converted(row, OrderRow) or Unknown(venue_code="200", message=f"{kind} cannot be read", whole=False)


def read_order(order_id: str, endpoint: str = "get_order") -> Reading[OrderRow | None]:
    """Read one order; `None` when the venue does not know it, which proves nothing in its first seconds."""
    row = yield from read_order_row(order_id, endpoint)
    return typed(row, "get_order") if isinstance(row, dict) else row


def read_order_row(order_id: str, endpoint: str = "get_order") -> Reading[Row | None]:
    """Read one order as the venue wrote it."""
    if not is_path_segment(order_id):
        return Unknown(message="an order id that cannot be asked for")
    response = yield requests.order(order_id, endpoint)
    if _is_no_order(response):
        return None
    reply = shown(response, "get_order")
    if isinstance(reply, Unknown):
        return reply
    if reply.order is None or reply.order.get("order_id") != order_id:
        return unread(response, "get_order shows another order, or none")
    return reply.order


def _is_no_order(response: Response) -> bool:
    """Say whether the venue denies an order; a gateway's page, or its plain text, is not the venue."""
    reply = decoded(response)
    malformed = response.status == 400 and reply is not None and reply.error == "INVALID_ARGUMENT"
    return malformed or (response.status == 404 and reply is not None and reply.is_own())


def read_list(first: Request, *, product: str | None = None, most_pages: int = _MAX_PAGES) -> Listing[Row]:
    """Read a list of orders or fills to its end. `product`: what its filter asks for."""

    def page_of(request: Request, response: Response) -> Page[Row] | Unknown:
        reply = shown(response, first.endpoint)
        if isinstance(reply, Unknown):
            return reply
        rows = reply.orders if first.endpoint == "list_orders" else reply.fills
        if rows is None:
            return unread(response, f"{first.endpoint} cannot be read")
        if reply.hides_rows():
            return Page(rows=rows, torn="the venue hides rows: proof_token_required")
        if product is not None and any(row.get("product_id") not in (None, "", product) for row in rows):
            return Page(rows=rows, torn="rows of another product: the filter was ignored")
        source = dict(first.query).get("order_placement_source")
        if source is not None and any(row.get("order_placement_source") not in (None, "", source) for row in rows):
            return Page(rows=rows, torn="orders of another source: the filter was ignored")
        # Fills come without `has_next`: there the cursor alone says that more follows.
        more = reply.has_next if reply.has_next is not None else bool(reply.cursor and rows)
        if more and not reply.cursor:
            return Page(rows=rows, torn="there is more, but no cursor to it")
        query = (*first.query, ("cursor", reply.cursor or ""))
        return Page(rows=rows, more=msgspec.structs.replace(first, query=query) if more else None)

    return read_all(first, page_of, most_pages=most_pages)


def probe() -> Generator[Request, Response, Refused | str]:
    """Read the key's permissions, then each list once; the first read that is refused ends it."""
    limit = (("limit", "1"),)
    lists = (requests.orders(limit), requests.fills(limit), requests.positions(), requests.order(_NOBODYS))
    portfolio = "portfolio not named"
    for request in (requests.key_permissions(), *lists):
        response = yield request
        if request.endpoint == "get_order" and _is_no_order(response):
            continue
        reply = shown(response, request.endpoint)
        permissions = request.endpoint == "key_permissions"
        if isinstance(reply, Unknown) or (permissions and None in (reply.can_view, reply.can_trade)):
            said = decoded(response)
            outcome = by_status(response, readable=bool(said), text=said.text() if said else "", lines=LINES)
            return probed(response, request.endpoint, outcome)
        if permissions and reply.portfolio_uuid:
            portfolio = f"portfolio {reply.portfolio_uuid}"
        lacks = [f"{name} is false" for name in ("can_view", "can_trade") if getattr(reply, name) is False]
        lacks += ["the venue hides rows (proof_token_required)"] if reply.hides_rows() else []
        if lacks:
            message = f"{request.endpoint}: {', '.join(lacks)}; {portfolio}"
            return Refused(code="account_restricted", message=message[:200], alert=True)
    return portfolio
