"""Read the venue's answers: envelope, rows, pages."""

import datetime
from collections.abc import Callable, Collection, Generator
from typing import Annotated, Any, Final, Generic, TypeVar

from msgspec import UNSET, Meta, Struct, UnsetType, field
from msgspec.json import Decoder

from router.venue_protocol import Refused, Request, Response, Retry, Unknown
from router.venue_protocol.outcome import with_venue_words
from router.venue_protocol.pages import Listing, Page, Torn, Whole, glimpse, read_all, unread
from router.venue_protocol.reading import MAX_ID, UNREADABLE
from router.venue_protocol.statuses import by_status, probed
from router.venues.gmo_coin import requests
from router.venues.gmo_coin.codes import BOTH, LINES
from router.venues.gmo_coin.requests import MAX_IDS, PAGE_ROWS
from router.venues.gmo_coin.rows import ExecutionRow, ListedSymbol, OrderRow, PositionRow

_MAX_PAGES: Final = 50
_EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_DENIALS: Final = frozenset({"auth_failed", "account_restricted"})

T = TypeVar("T")
Id = Annotated[int, Meta(ge=1, le=MAX_ID)]
Text = Annotated[str, Meta(pattern=r"\A[0-9]{1,40}(\.[0-9]{1,40})?\Z")]
_Number = Annotated[int, Meta(ge=-(2**31), le=2**31)]
_Time = Annotated[datetime.datetime, Meta(tz=True)]


class _Message(Struct, frozen=True, kw_only=True):
    message_code: str
    message_string: str = ""


class Envelope(Struct, Generic[T], frozen=True, kw_only=True):
    """The envelope of every answer."""

    status: _Number
    data: T | UnsetType = UNSET
    messages: tuple[_Message, ...] = ()


class _Pagination(Struct, frozen=True, kw_only=True, rename="camel"):
    current_page: int | None = None
    count: int | None = None


class Rows(Struct, Generic[T], frozen=True, kw_only=True):
    """A page of rows; without any the venue leaves out both fields."""

    listed: tuple[T, ...] | UnsetType = field(name="list", default=UNSET)
    pagination: _Pagination = _Pagination()

    @property
    def rows(self) -> tuple[T, ...]:
        """The rows."""
        return () if isinstance(self.listed, UnsetType) else self.listed


any_answer: Final[Decoder[Envelope[Any]]] = Decoder(Envelope[Any])
ORDERS: Final[Decoder[Envelope[Rows[OrderRow]]]] = Decoder(Envelope[Rows[OrderRow]])
EXECUTIONS: Final[Decoder[Envelope[Rows[ExecutionRow]]]] = Decoder(Envelope[Rows[ExecutionRow]])
POSITIONS: Final[Decoder[Envelope[Rows[PositionRow]]]] = Decoder(Envelope[Rows[PositionRow]])
PLAIN: Final[Decoder[Envelope[Rows[dict[str, Any]]]]] = Decoder(Envelope[Rows[dict[str, Any]]])
_SYMBOLS: Final[Decoder[Envelope[tuple[ListedSymbol, ...]]]] = Decoder(Envelope[tuple[ListedSymbol, ...]])


def data_of(response: Response, what: str, decoder: Decoder[Envelope[T]]) -> T | Unknown:
    """Return what a successful read holds. Missing `data` is a failed read, never an empty list."""
    try:
        answer = decoder.decode(response.body)
    except UNREADABLE:
        return unread(response, f"{what}: HTTP {response.status} with an unreadable body", code=_code_of(response))
    if answer.messages:
        said = answer.messages[0]
        known = BOTH.get(said.message_code)
        denied = None if known is None else isinstance(known, Refused) and known.code in _DENIALS
        return unread(response, f"{what}: {said.message_string}", code=said.message_code[:32], denied=denied)
    if response.status != 200 or answer.status != 0 or isinstance(answer.data, UnsetType):
        return unread(response, f"{what}: HTTP {response.status}, status {answer.status} without data")
    without = isinstance(answer.data, Rows) and isinstance(answer.data.listed, UnsetType)
    if without and any_answer.decode(response.body).data != {}:  # which is how the venue writes a list without rows
        return unread(response, f"{what}: data without a list")
    return answer.data


def _code_of(response: Response) -> str | None:
    """Return the code of a refusal whose `data` is not what was asked for."""
    try:
        messages = any_answer.decode(response.body).messages
    except UNREADABLE:
        return None
    return messages[0].message_code[:32] if messages else None


def read_pages(name: str, symbol: str, decoder: Decoder[Envelope[Rows[T]]], *, shrinks: bool = False) -> Listing[T]:
    """Read a list of one symbol to its end: a page with fewer rows than a page has. `shrinks`: rows may leave it."""

    def page_of(request: Request, response: Response) -> Page[T] | Unknown:
        data = data_of(response, name, decoder)
        if isinstance(data, Unknown):
            return data
        number = int(dict(request.query)["page"])
        if data.pagination.current_page not in {None, number}:
            return Page(rows=data.rows, torn="another page than asked for")
        if any(_is_other(_symbol_of(row), symbol) for row in data.rows):
            return Page(rows=data.rows, torn="rows of another symbol: the filter was ignored")
        size = data.pagination.count
        full = len(data.rows) >= (size if size and 0 < size < PAGE_ROWS else PAGE_ROWS)
        return Page(rows=data.rows, more=requests.page(name, symbol, number + 1) if full else None)

    return read_all(requests.page(name, symbol, 1), page_of, most_pages=_MAX_PAGES, key=_id_of if shrinks else None)


def _id_of(row: object) -> object:
    return getattr(row, "order_id", None) or getattr(row, "position_id", None)


def _is_other(shown: object, asked: str) -> bool:
    return shown is not None and shown != asked


def _symbol_of(row: object) -> object:
    return row.get("symbol") if isinstance(row, dict) else getattr(row, "symbol", None)


def read_orders(ids: Collection[int], decoder: Decoder[Envelope[Rows[T]]], id_of: Callable[[T], object]) -> Listing[T]:
    """Read orders by their ids, ten at a time. A row that was not asked for means that the ids were ignored."""
    wanted, rows = sorted(ids), list[T]()

    def page_of(request: Request, response: Response) -> Page[T] | Unknown:
        data = data_of(response, "orders", decoder)
        if isinstance(data, Unknown):
            return data
        asked = {int(text) for text in dict(request.query)["orderId"].split(",")}
        kept = tuple(row for row in data.rows if isinstance(id_of(row), int) and id_of(row) in asked)
        return Page(rows=kept, torn="" if len(kept) == len(data.rows) else "orders that were not asked for")

    for start in range(0, len(wanted), MAX_IDS):
        listed = yield from read_all(requests.orders(wanted[start : start + MAX_IDS]), page_of, most_pages=1)
        rows += glimpse(listed)
        if isinstance(listed, Torn):
            return Torn(listed.doubt, tuple(rows))
    return Whole(tuple(rows))


def symbols_of(response: Response) -> tuple[str, ...] | Unknown:
    """Return every symbol that the venue lists."""
    data = data_of(response, "symbols", _SYMBOLS)
    if isinstance(data, Unknown):
        return data
    return tuple(row.symbol for row in data) or unread(response, "symbols: none is listed")


def probe() -> Generator[Request, Response, Refused | str]:
    """Read each list once; the first that is refused ends it. No order is called 1: a business error is an answer."""
    names = ("activeOrders", "latestExecutions", "openPositions")
    by_id = (requests.orders([1]), requests.executions(1))
    for request in (*(requests.page(name, "BTC_JPY", 1) for name in names), *by_id, requests.symbols()):
        response = yield request
        read = data_of(response, request.endpoint, any_answer)
        if not isinstance(read, Unknown):
            continue
        outcome = BOTH.get(read.venue_code or "")
        if isinstance(outcome, Refused | Retry) and not (request in by_id and outcome.code == "invalid_command"):
            said = with_venue_words(outcome, read.venue_code, read.message)
            return probed(response, request.endpoint, said)
        if request in by_id and outcome is None and (read.venue_code or "").startswith("ERR-"):
            continue
        if outcome is None:
            return probed(response, request.endpoint, by_status(response, readable=False, lines=LINES), read.message)
    return ""
