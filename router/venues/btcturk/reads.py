"""Read the venue's answers: envelope, orders, trades, pages."""

from collections.abc import Generator
from decimal import Decimal
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct
from msgspec.json import Decoder

from router.venue_protocol import Outcome, Refused, Request, Response, Unknown
from router.venue_protocol.pages import Listing, Page, read_all, unread
from router.venue_protocol.reading import EXACT, MAX_ID, UNREADABLE, converted, decimal, is_id
from router.venue_protocol.statuses import by_status, probed
from router.venues.btcturk import requests
from router.venues.btcturk.codes import LINES, MESSAGES, NOT_FOUND, ORDER_STATUSES, SUCCESS, UNAUTHORIZED
from schemas.results import OrderState

_MAX_PAGES: Final = 20
_DEFAULT_ROWS: Final = 100  # what a page has when `limit` is ignored: fewer than that end the history
_PROBE_PAIR: Final = "BTCTRY"
_Text = Annotated[str, Meta(pattern=r"\A[0-9]{1,40}(\.[0-9]{1,40})?\Z")]
_Whole = Annotated[int, Meta(ge=0, le=10**18)]
_Code = Annotated[int, Meta(ge=-(2**31), le=2**31)]


class Envelope(Struct, frozen=True, kw_only=True):
    """The envelope of every answer. `code` has come as text (issue 353)."""

    success: bool
    code: _Code | str | None = None
    message: str | None = None
    data: Any = None

    @property
    def said(self) -> str:
        """The message's words."""
        return "_".join((self.message or "").upper().split())

    @property
    def name(self) -> str | None:
        """What the answer calls itself: its code, else its message."""
        return self.said[:32] or None if self.code is None else str(self.code)[:32]

    @property
    def succeeded(self) -> bool:
        """Whether it claims success; only its message may still contradict that."""
        return self.success and self.code == 0

    @property
    def not_found(self) -> bool:
        """Whether the venue denies the order."""
        return not self.success and (self.code == NOT_FOUND or self.said == "ORDER_NOT_FOUND")


class OrderRow(Struct, frozen=True, kw_only=True):
    """An order, its keys in lower case."""

    id: Annotated[int, Meta(ge=1, le=MAX_ID)]
    status: str
    type: str = ""
    method: str = ""
    amount: _Text | _Whole | None = None
    left_amount: _Text | _Whole | None = msgspec.field(default=None, name="leftamount")
    pair_symbol: str = msgspec.field(default="", name="pairsymbol")
    client_id: str | None = msgspec.field(default=None, name="orderclientid")
    price: Any = None
    stop_price: Any = msgspec.field(default=None, name="stopprice")
    time: Any = None
    update_time: Any = msgspec.field(default=None, name="updatetime")
    raw: Any = msgspec.field(default=None, name=" raw")  # the row as it came


_answer: Final[Decoder[Envelope]] = Decoder(Envelope, float_hook=str)


def decoded(response: Response) -> Envelope | None:
    """Read the envelope; `None` when there is none."""
    try:
        return _answer.decode(response.body)
    except UNREADABLE:
        return None


def meaning(response: Response, answer: Envelope) -> Outcome | None:
    """Look the message up; `None` when it is not listed. What begins with "Unauthorized" was refused at the door."""
    said = answer.said
    if said.startswith("UNAUTHORIZED") or response.status == 401:
        rest = said.removeprefix("UNAUTHORIZED").lstrip("_-")
        refused = Refused(code="auth_failed", alert=True) if rest and rest != said else None
        return UNAUTHORIZED.get(rest, refused)
    return MESSAGES.get(said)


def data_of(response: Response, what: str) -> Any:
    """Return what a successful read holds, else `Unknown`, which is not whole."""
    answer = decoded(response)
    if answer is None:
        return unread(response, f"{what}: HTTP {response.status} with an unreadable body")
    if response.status == 200 and answer.succeeded and answer.said in SUCCESS:
        return answer.data
    denied = "NONCE" not in answer.said if answer.said.startswith("UNAUTHORIZED") else None
    return unread(response, f"{what}: HTTP {response.status}: {answer.message}", code=answer.name, denied=denied)


def order_of(data: Any) -> OrderRow | Unknown:
    """Read an order whatever the capitalisation of its keys."""
    if isinstance(data, Unknown):
        return data
    fields = data.items() if isinstance(data, dict) else ()
    row = {key.lower(): value for key, value in fields if value is not None} | {" raw": data}
    for name in {"amount", "leftamount"} & row.keys():  # a sum that is nothing has come as 0E-16
        row[name] = decimal(row[name]) or row[name]
    row |= {"id": int(row["id"])} if is_id(str(row.get("id"))) else {}
    return converted(row, OrderRow) or Unknown(message="an order that cannot be read", whole=False)


def state_of(order: OrderRow) -> OrderState:
    """`filled_size` is amount - leftAmount, exactly (Get Single Order); never from `quantity`."""
    status = ORDER_STATUSES.get(order.status.lower(), "unknown")
    size = None if order.amount is None else str(order.amount)
    if size is None or order.left_amount is None:
        return OrderState(status=status, size=size)
    filled = EXACT.subtract(Decimal(size), Decimal(order.left_amount))
    if filled < 0:
        return OrderState(status=status, size=size)
    if filled and status == "working":
        status = "partially_filled"
    return OrderState(status=status, size=size, filled_size=format(filled, "f"))


def read_open(pair: str) -> Listing[OrderRow]:
    """Read what is open in a pair: one answer."""
    return read_all(requests.open_orders(pair), _open_page, most_pages=1)


def _open_page(request: Request, response: Response) -> Page[OrderRow] | Unknown:
    data = data_of(response, "open_orders")
    if isinstance(data, Unknown):
        return data
    try:
        rows = [*data["asks"], *data["bids"]]
    except (TypeError, KeyError):
        return unread(response, "open_orders: no asks and bids")
    return _page(request, rows, None)


def read_history(pair: str) -> Listing[OrderRow]:
    """Read the history of a pair to its end: the page that the venue chooses, then pages 1, 2, …

    The last page has fewer rows than any page may have, or none that is new.
    """
    seen: set[int] = set()

    def page_of(request: Request, response: Response) -> Page[OrderRow] | Unknown:
        data = data_of(response, "all_orders")
        if isinstance(data, Unknown):
            return data
        if not isinstance(data, list):
            return unread(response, "all_orders: no list")
        number = int(dict(request.query).get("page", "0"))
        page = _page(request, data, requests.all_orders(pair, number + 1))
        if isinstance(page, Unknown):
            return page
        fresh = {order.id for order in page.rows} - seen
        seen.update(fresh)
        goes_on = len(data) >= _DEFAULT_ROWS and bool(fresh or number == 1)  # page 1 may be the one that came first
        return page if goes_on else msgspec.structs.replace(page, more=None)

    return read_all(requests.all_orders(pair, 0), page_of, most_pages=_MAX_PAGES)


def _page(request: Request, rows: list[Any], more: Request | None) -> Page[OrderRow] | Unknown:
    orders = [order_of(row) for row in rows]
    readable = tuple(order for order in orders if isinstance(order, OrderRow))
    if len(readable) < len(orders):
        return Page(rows=readable, torn="an order that cannot be read")
    pair = dict(request.query)["pairSymbol"].replace("_", "").upper()
    if any(order.pair_symbol and order.pair_symbol.replace("_", "").upper() != pair for order in readable):
        return Page(rows=readable, torn="orders of another pair: the filter was ignored")
    return Page(rows=readable, more=more)


def probe() -> Generator[Request, Response, Refused | str]:
    """Read what lookups and the feed need; the first read that is refused ends it. No order is called 1."""
    lists = (requests.open_orders(_PROBE_PAIR), requests.all_orders(_PROBE_PAIR, 0), requests.order(1))
    for request in (*lists, requests.trades(1), requests.exchange_info()):
        response = yield request
        answer = decoded(response)
        known = answer is not None and answer.not_found and response.status < 500
        if known or not isinstance(data_of(response, request.endpoint), Unknown):
            continue
        outcome = meaning(response, answer) if answer is not None else None
        text = answer.message or "" if answer is not None else ""
        outcome = outcome or by_status(response, readable=answer is not None, text=text, lines=LINES)
        return probed(response, request.endpoint, outcome, text)
    return ""
