"""Nami Exchange (https://nami.gitbook.io/nami-exchange-api-docs, read 2026-11), spot: closing an order cancels it.

Signature: hex HMAC-SHA256 of the parameters in the order they were sent, `signature` left out, written as JavaScript's
URLSearchParams writes them. For DELETE they are in the JSON body, as the endpoint's page says, or in the query, as the
page on signing shows: a switch. Business errors are HTTP 400, missing credentials a framework's 401, numbers are
JavaScript floats, and replies may come doubly wrapped. Orders have no id of the client's.
unverified: timestamp window, Retry-After, the answer to a second cancel (NOT_FOUND_ORDER here), and the limit of 60
calls a minute, which is published for an older version.
"""

import hashlib
import hmac
import re
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from typing import ClassVar, Final, Literal
from urllib.parse import parse_qsl, quote_plus

from router.simulator.book import Book, Fill, Order, Status
from router.simulator.call import Answer, Call, Endpoint, Refusal, json_answer
from router.simulator.ledger import Subject
from router.simulator.rates import Breach, Rate
from router.simulator.seeds import Behaviour, OrderSeed
from router.simulator.truth import ENDINGS, Ending
from router.simulator.venue import VenueSimulator

KEY: Final = "N3LbmwMAXcObdVYdP8KTMYjsi94CUpEh8C3F2xhDKdxbkfQn8Bi3FQP7LudeN9Vb"
KEY_TEXT: Final = "UNCZHD1e4501X1WGO9PqjGJBDqWoNjUlc05YZTy38t9Wd7rHWmrmtfKfb1Vpb5RH"
"""Both are the samples of the venue's page on signing."""

_STATUSES: Final = {
    "canceled": "CANCELED",
    "filled": "FILLED",
    "expired": "CANCELED",
    "failed": "FAILED",
}
_NUMBERS: Final = {
    "UNKNOWN": 1000,
    "BAD_SYMBOL": 1112,
    "INVALID_REQUEST_ID": 1112,
    "NO_SUCH_ORDER": 2013,
    "TRADE_NOT_ALLOWED": 3004,
    "ACCOUNT_BAN_TRADE": 3005,
    "NOT_FOUND_ORDER": 6101,
    "BROKER_ERROR": 6104,
}


class NamiBehaviour(Behaviour, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`placement`: where DELETE must carry its parameters; `wrapped`: replies come in a second envelope.

    `error_status` is the HTTP status of business errors (the older pages say 200), `open_shape` what `data` of the open
    orders is (the pages show both).

    There is no private stream. For who polls, `history_lag_s` is how long an order that has ended is in neither list,
    and `history_time` what the history's `timeFrom` and `timeTo` are about (the pages do not say).
    """

    timestamp_window_s: float = 60.0
    placement: Literal["body", "query", "both"] = "body"
    wrapped: bool = False
    error_status: Literal[200, 400] = 400
    open_shape: Literal["object", "list"] = "object"
    history_lag_s: float = 0.0
    history_time: Literal["created", "updated"] = "created"


class Nami(VenueSimulator):
    """A spot account."""

    venue = "nami"
    rates = (Rate(scope="all", count=60, period_s=60, per="ip", shape="clock"),)
    behaviour_type = NamiBehaviour
    behaviour: NamiBehaviour
    endings: ClassVar[Mapping[Status, Ending]] = {**ENDINGS, "expired": "canceled"}
    first_order_id = 435373
    first_fill_id = 8415

    def endpoints(self) -> Sequence[Endpoint]:
        """Return the routes."""
        reads = {
            "open_orders": ("/api/v4/spot/open", self._open),
            "history": ("/api/v4/spot/history", self._history),
            "trades": ("/api/v4/spot/trade", self._trades),
            "balance": ("/api/v4/user/balance", self._balance),
        }
        return [
            Endpoint(method="DELETE", path="/api/v4/spot/order", name="delete_order", action="cancel", scope="all",
                     handler=self._delete),
            *(Endpoint(method="GET", path=path, name=name, action="read", scope="all", handler=handler)
              for name, (path, handler) in reads.items()),
        ]  # fmt: skip

    def create_accounts(self) -> None:
        """Add `main`."""
        self.add_account("main", api_key=KEY, api_secret=KEY_TEXT)

    def seed(self) -> None:
        """Put the document's order on the book."""
        self.add_orders(OrderSeed(order_id="435372", symbol="BTCUSDT", side="BUY", size=Decimal("0.07474"),
                                  price=Decimal("62877.99")))  # fmt: skip

    def key_of(self, headers: Mapping[str, str]) -> str:
        """Return x-api-key."""
        return headers.get("x-api-key", "")

    def authenticate(self, call: Call) -> None:
        """Check key, signature and timestamp wherever this request must carry them."""
        placement = "query" if call.method == "GET" else self.behaviour.placement
        if placement != "body":
            self._check(call, parse_qsl(call.query, keep_blank_values=True))
        if placement != "query":
            body = call.object() or {}
            self._check(call, [(name, js_text(value)) for name, value in body.items()])

    def subject(self, call: Call) -> Subject:
        """Read the order id from the body or the query."""
        sent = dict(call.params) | (call.object() or {})
        return Subject(order_id=str(sent.get("displayingId", "")), symbol=str(sent.get("symbol", "")))

    def error(self, call: Call, code: str) -> Answer:
        """Return the business envelope, HTTP 400 unless switched to 200."""
        status = code or "UNKNOWN"
        content = {
            "status": status,
            "code": _NUMBERS.get(status, 1000),
            "data": {"requestId": str(uuid.uuid4())},
            "message": None,
        }
        return self._reply(content, self.behaviour.error_status)

    def throttled(self, breach: Breach | None) -> Answer:
        """Return the framework's 429."""
        return json_answer(429, {"statusCode": 429, "message": "ThrottlerException: Too Many Requests"})

    def forbidden(self, call: Call) -> Answer:
        """Return TRADE_NOT_ALLOWED."""
        return self.error(call, "TRADE_NOT_ALLOWED")

    def under_maintenance(self) -> Answer:
        """Return the framework's 503."""
        return json_answer(503, {"statusCode": 503, "message": "Service Unavailable"})

    def unknown_route(self) -> Answer:
        """Return the framework's 404."""
        return json_answer(404, {"statusCode": 404, "message": "Cannot find the route", "error": "Not Found"})

    # Endpoints

    def _delete(self, call: Call) -> Answer:
        sent = dict(parse_qsl(call.query)) if self.behaviour.placement == "query" else call.object() or {}
        order = call.account.book.orders.get(str(sent.get("displayingId", "")))
        if order is None or order.status not in {"working", "waiting"}:
            raise self.refusal(call, "NOT_FOUND_ORDER")
        if sent.get("symbol") != order.symbol:
            raise self.refusal(call, "BAD_SYMBOL")
        self.market.cancel(call.account, order, delay_s=self.behaviour.cancel_delay_s, reason="user",
                           origin=call.origin)  # fmt: skip
        book = call.account.book
        return self._ok(order_row(book.orders[order.order_id], book))

    def _open(self, call: Call) -> Answer:
        pair = call.params.get("filterByPair", "").replace("/", "")
        book = self.view(call)
        rows = [order_row(order, book) for order in reversed(book.live()) if pair in {"", order.symbol}]
        return self._ok({"orders": rows} if self.behaviour.open_shape == "object" else rows)

    def _history(self, call: Call) -> Answer:
        params, book = call.params, self.view(call)
        side, symbol, shown = params.get("side"), params.get("symbol"), params.get("hideCanceled") != "true"
        since_ms, until_ms = self._time(call, "timeFrom", 0), self._time(call, "timeTo", 1 << 62)
        by_change, shown_ms = (
            self.behaviour.history_time == "updated",
            call.now_ms - self.behaviour.history_lag_s * 1000,
        )
        found = (
            order_row(order, book)
            for order in reversed(book.orders.values())
            if order.status in _STATUSES
            and side in {None, order.side}
            and symbol in {None, order.symbol}
            and (shown or _STATUSES[order.status] != "CANCELED")
            and since_ms <= (order.updated_ms if by_change else order.created_ms) <= until_ms
            and order.updated_ms <= shown_ms
        )
        return self._ok(list(islice(found, *self._page(call))))

    def _trades(self, call: Call) -> Answer:
        side, symbol = call.params.get("side"), call.params.get("symbol")
        since_ms, until_ms = self._time(call, "timeFrom", 0), self._time(call, "timeTo", 1 << 62)
        found = (
            trade_row(fill)
            for fill in reversed(self.view(call).fills)
            if side in {None, fill.side} and symbol in {None, fill.symbol} and since_ms <= fill.at_ms <= until_ms
        )
        return self._ok(list(islice(found, *self._page(call))))

    def _balance(self, _call: Call) -> Answer:
        return self._ok({"9": {"value": 1, "locked_value": 0, "type": 0},
                         "22": {"value": 100000.5, "locked_value": 4704.2, "type": 0}})  # fmt: skip

    def _page(self, call: Call) -> tuple[int, int]:
        size, page = call.params.get("pageSize", "20"), call.params.get("page", "1")
        if not (size.isdigit() and page.isdigit() and 1 <= int(size) <= 100 and int(page)):
            raise self.refusal(call, "INVALID_INPUT")
        return (int(page) - 1) * int(size), int(page) * int(size)

    def _time(self, call: Call, name: str, default: int) -> int:
        text = call.params.get(name)
        try:
            return int(datetime.fromisoformat(text).timestamp() * 1000) if text else default
        except ValueError:
            raise self.refusal(call, "INVALID_INPUT") from None

    def _check(self, call: Call, pairs: Sequence[tuple[str, str]]) -> None:
        sent = dict(pairs)
        if not (self.key_of(call.headers) and sent.get("signature") and sent.get("timestamp")):
            raise _unauthorised("Missing API key, signature, or timestamp")
        if not call.account.name:
            raise _unauthorised("Invalid API Key")
        wanted = signature(call.account.api_secret, [pair for pair in pairs if pair[0] != "signature"])
        if not hmac.compare_digest(wanted.encode(), sent["signature"].encode()):
            raise _unauthorised("Signature Not Valid")
        stamp = sent["timestamp"]
        if not stamp.isdigit() or abs(int(stamp) - call.now_ms) > self.behaviour.timestamp_window_s * 1000:
            raise _unauthorised("Timestamp Not Valid")

    def _ok(self, data: object) -> Answer:
        return self._reply({"status": "ok", "data": data}, 200)

    def _reply(self, content: dict[str, object], status: int) -> Answer:
        return json_answer(status, {"message": "OK", "data": content} if self.behaviour.wrapped else content)


def signature(secret: str, pairs: Sequence[tuple[str, str]]) -> str:
    """Sign parameters in the order they came, encoded as `new URLSearchParams(…).toString()` encodes them."""
    text = "&".join(f"{_encoded(name)}={_encoded(value)}" for name, value in pairs)
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def _encoded(text: str) -> str:
    """Encode as application/x-www-form-urlencoded in the browsers' way: `*` stays and `~` does not."""
    return quote_plus(text, safe="*").replace("~", "%7E")


def js_text(value: object) -> str:
    """Write a JSON value as JavaScript's `String()` does."""
    match value:
        case True | False | None:
            return {True: "true", False: "false", None: "null"}[value]
        case Decimal():
            return re.sub(r"e([-+])0", r"e\1", str(js_number(value)))
        case str() | int():
            return str(value)
        case list():
            return ",".join(map(js_text, value))
        case _:
            return "[object Object]"


def js_number(number: Decimal | float) -> float:
    """Return what JavaScript has for a number: a float, without a fraction when there is none."""
    value = float(number)
    return int(value) if value.is_integer() else value


def iso(at_ms: int) -> str:
    """Write a time as JavaScript's `toISOString`."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def order_row(order: Order, book: Book) -> dict[str, object]:
    """Return an order; amounts are floats, and sums of fills have a float's errors."""
    base, quote = order.symbol[:-4], order.symbol[-4:]
    price = js_number(order.price)
    executed = sum(float(fill.size) for fill in reversed(book.fills_of(order.order_id)))
    live = "PARTIALLY_FILLED" if order.filled else "NEW"
    return {
        "displayingId": int(order.order_id),
        "userId": 18,
        "side": order.side,
        "type": "STOP_LIMIT" if order.kind.startswith("stop") else order.kind.upper(),
        "price": price,
        "stopPrice": js_number(order.stop_price),
        "quantity": js_number(order.size),
        "executedQty": js_number(executed or order.filled),
        "quoteQty": js_number(float(order.size) * price),
        "executedQuoteQty": js_number(float(order.cost)),
        "executedPrice": js_number(order.average_price),
        "liquidityStatus": 1,
        "liquiditySymbol": order.symbol,
        "liquidityOrderId": f"1{order.order_id}",
        "feeMetadata": {"assetId": 22, "asset": quote, "value": 0, "feeRatio": 0.001, "executed": 0},
        "useQuoteQty": False,
        "symbol": order.symbol,
        "baseAsset": base,
        "baseAssetId": 9,
        "quoteAsset": quote,
        "quoteAssetId": 22,
        "status": _STATUSES.get(order.status, live),
        "createdAt": iso(order.created_ms),
        "updatedAt": iso(order.updated_ms),
    }


def trade_row(fill: Fill) -> dict[str, object]:
    """Return a trade; its `displayingId` is the trade's own id, `orderId` the order's."""
    return {
        "_id": f"{fill.fill_id:024x}",
        "symbol": fill.symbol,
        "side": fill.side,
        "takerSide": fill.side,
        "displayingId": str(fill.fill_id),
        "orderId": int(fill.order_id),
        "baseQty": js_number(fill.size),
        "quoteQty": js_number(float(fill.size) * float(fill.price)),
        "price": js_number(fill.price),
        "feeMetadata": {"feeValue": 0, "feeAssetId": 22, "feeAsset": fill.symbol[-4:], "feeRatio": 0.001},
        "createdAt": iso(fill.at_ms),
    }


def _unauthorised(message: str) -> Refusal:
    content = {"statusCode": 401, "message": message, "error": "Unauthorized"}
    return Refusal(json_answer(401, content), message, "bad_signature")


SIMULATOR = Nami
