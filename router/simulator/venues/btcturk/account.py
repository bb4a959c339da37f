"""The BtcTurk account and its endpoints."""

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import islice
from typing import ClassVar, Final

from router.simulator.book import Status
from router.simulator.call import Account, Answer, Call, Endpoint, Refusal, json_answer
from router.simulator.ledger import Subject
from router.simulator.rates import Breach, Rate
from router.simulator.seeds import Behaviour, OrderSeed
from router.simulator.truth import ENDINGS, Ending
from router.simulator.venue import VenueSimulator
from router.simulator.venues.btcturk.feed import CONNECT_RATE, BtcTurkFeed
from router.simulator.venues.btcturk.rows import order_row, split, trade_rows

KEY: Final = "7d1c0a52-3f0b-4e6a-9a51-0c2d4e8f1b22"
KEY_TEXT: Final = base64.b64encode(b"secret-key-for-tests-0123456789").decode()
WS_SUFFIX: Final = "-ws"
PAIRS: Final = ("BTCTRY", "BTCUSDT", "ETHTRY", "ETHUSDT", "USDTTRY")

_CODES: Final = {
    "ORDER_COULD_NOT_BE_CANCELED": (400, 1051),
    "NO_ORDER_MATCHES_YOUR_REQUEST": (400, 1052),
    "ORDER_CANCEL_BLOCKED": (400, 1053),
    "Order not found": (400, 1152),
    "Unauthorized - Invalid Nonce": (401, 1037),
    "Unauthorized - Invalid Signature": (401, 1037),
    "Unauthorized - Invalid Public Key": (401, 1037),
    "Unauthorized - Headers are missing": (401, 1037),
    "Unauthorized - Invalid Request": (401, 1037),
    "INTERNAL_ERROR": (500, 500),
}


def _rates(scope: str, count: int, minute: int) -> list[Rate]:
    """Return the second's and the minute's limit of an endpoint, counted per account and per address."""
    return [
        Rate(scope=scope, count=most, period_s=period_s, per=per, shape="first", block_s=period_s)
        for per in ("account", "ip")
        for most, period_s in ((count, 1.0), (minute, 60.0))
    ]  # fmt: skip


def _minute(scope: str, count: int) -> Rate:
    return Rate(scope=scope, count=count, period_s=60, per="ip", shape="first", block_s=60)


class BtcTurkBehaviour(Behaviour, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`pair_required`: whether openOrders insists on `pairSymbol`, as the current page reads; older ones do not.

    Of the WebSocket: `login_within_s` is its time; `filled_is_deleted`: whether an order that is filled gets a 452.
    """

    cancel_delay_s: float = 0.05
    pair_required: bool = False
    login_within_s: float = 40.0
    filled_is_deleted: bool = False


class BtcTurk(VenueSimulator):
    """A spot account."""

    venue = "btcturk"
    rates = (
        *_rates("delete_order", 10, 300),
        *_rates("get_order", 30, 900),
        _minute("open_orders", 300),
        _minute("all_orders", 300),
        _minute("trades", 120),
        CONNECT_RATE,
    )
    endings: ClassVar[Mapping[Status, Ending]] = {**ENDINGS, "expired": "canceled", "failed": "canceled"}
    behaviour_type = BtcTurkBehaviour
    behaviour: BtcTurkBehaviour
    feed: BtcTurkFeed
    siblings = True
    tells_retry_after = True
    first_order_id = 123456790
    first_fill_id = 1181163798924649598

    def endpoints(self) -> Sequence[Endpoint]:
        """Return the routes."""
        reads = {
            "get_order": ("/api/v1/order/{order_id}", self._get_order),
            "open_orders": ("/api/v1/openOrders", self._open_orders),
            "all_orders": ("/api/v1/allOrders", self._all_orders),
            "trades": ("/api/v1/users/transactions/trade", self._trades),
        }
        return [
            Endpoint(method="DELETE", path="/api/v1/order", name="delete_order", action="cancel",
                     scope="delete_order", handler=self._delete_order),
            *(Endpoint(method="GET", path=path, name=name, action="read", scope=name, handler=handler)
              for name, (path, handler) in reads.items()),
            Endpoint(method="GET", path="/api/v2/server/time", name="server_time", action="read", public=True,
                     handler=self._server_time),
            Endpoint(method="GET", path="/api/v2/server/exchangeinfo", name="exchange_info", action="read",
                     public=True, handler=self._exchange_info),
        ]  # fmt: skip

    def private_feed(self) -> BtcTurkFeed:
        """Return the WebSocket."""
        return BtcTurkFeed(self)

    def create_accounts(self) -> None:
        """Add `main`."""
        self._stamps: dict[str, dict[int, None]] = {}
        self.add_account("main", api_key=KEY, api_secret=KEY_TEXT)

    def secrets(self, account: Account) -> dict[str, str]:
        """Return the two key pairs: the WebSocket has its own, and neither opens the other's door."""
        pair = super().secrets(account)
        return {**pair, **{f"ws_{name}": value for name, value in ws_pair(account).items()}}

    def ws_login(self, key: str) -> tuple[Account, str] | None:
        """Return the account and the secret of a WebSocket key."""
        account = self.keyholder(key.removesuffix(WS_SUFFIX)) if key.endswith(WS_SUFFIX) else None
        return (account, ws_pair(account)["api_secret"]) if account else None

    def seed(self) -> None:
        """Put the document's order on the book."""
        self._stamps.clear()
        self.add_orders(OrderSeed(order_id="123456789", symbol="BTCTRY", side="BUY", size=Decimal("0.5"),
                                  price=Decimal(1200000), client_order_id="placed-by-hand"))  # fmt: skip

    def key_of(self, headers: Mapping[str, str]) -> str:
        """Return X-PCK."""
        return headers.get("X-PCK", "")

    def authenticate(self, call: Call) -> None:
        """Check key, signature, and that the stamp is fresh and new."""
        stamp, given = call.headers.get("X-Stamp", ""), call.headers.get("X-Signature", "")
        if not (self.key_of(call.headers) and stamp and given):
            raise self._unauthorised("Headers are missing")
        if not call.account.name:
            raise self._unauthorised("Invalid Public Key")
        wanted = signature(call.account.api_key, call.account.api_secret, stamp)
        if not hmac.compare_digest(wanted.encode(), given.encode()):
            raise self._unauthorised("Invalid Signature")
        window_ms = int(self.behaviour.timestamp_window_s * 1000)
        if not (stamp.isascii() and stamp.isdigit()) or abs(int(stamp) - call.now_ms) > window_ms:
            raise self._unauthorised("Invalid Nonce")
        if not self._is_new(call.account.name, int(stamp), call.now_ms - 2 * window_ms):
            raise self._unauthorised("Invalid Nonce")

    def subject(self, call: Call) -> Subject:
        """Read the order id from the query or the path."""
        order_id = call.params.get("id") or call.params.get("orderId") or call.path_ids.get("order_id", "")
        return Subject(order_id=order_id, symbol=call.params.get("pairSymbol", ""))

    def error(self, call: Call, code: str) -> Answer:
        """Return the failure envelope; a nonce is refused with `success: true` (broker-api-docs, issue 160)."""
        code = code or "INTERNAL_ERROR"
        status, number = _CODES.get(code, (400, 1000))
        return json_answer(status, {"success": code == "Unauthorized - Invalid Nonce", "message": code, "code": number})

    def throttled(self, breach: Breach | None) -> Answer:
        """Return 429; the venue writes `limit` as text."""
        rate, wait_s = (breach.rate, breach.wait_s) if breach else (self.rates[0], 1.0)
        period = "1m" if rate.period_s == 60 else "1s"
        details = (
            f"Quota exceeded. Maximum allowed: {rate.count} per {period}. "
            f"Please try again in {-int(-wait_s // 1)} second(s)."
        )
        content = {"message": "TOO_MANY_REQUESTS", "success": False, "code": 429, "details": details,
                   "limit": str(rate.count), "period": period, "policy": rate.per}  # fmt: skip
        return json_answer(429, content)

    def forbidden(self, call: Call) -> Answer:
        """Return the 401 of a key without the permission."""
        return self.error(call, "Unauthorized - Invalid Request")

    # Endpoints

    def _delete_order(self, call: Call) -> Answer:
        order = call.account.book.orders.get(call.params.get("id", ""))
        if order is None:
            raise self.refusal(call, "NO_ORDER_MATCHES_YOUR_REQUEST")
        if order.status in {"canceled", "canceling"} and order.kind != "market":
            self.record("replayed", call)
            return _ok()
        if order.kind == "market" or order.status not in {"working", "waiting"}:
            raise self.refusal(call, "ORDER_COULD_NOT_BE_CANCELED")
        self.market.cancel(call.account, order, delay_s=self.behaviour.cancel_delay_s, reason="user",
                           origin=call.origin)  # fmt: skip
        return _ok()

    def _get_order(self, call: Call) -> Answer:
        order = self.view(call).orders.get(call.path_ids["order_id"])
        if order is None:
            raise self.refusal(call, "Order not found")
        return _ok(order_row(order))

    def _open_orders(self, call: Call) -> Answer:
        pair = call.params.get("pairSymbol", "").replace("_", "")
        if self.behaviour.pair_required and not pair:
            raise self.refusal(call, "INVALID_PARAMETERS")
        orders = [order for order in self.view(call).live() if pair in {"", order.symbol}]
        asks = [order_row(order) for order in orders if order.side == "SELL"]
        return _ok({"asks": asks, "bids": [order_row(order) for order in orders if order.side == "BUY"]})

    def _all_orders(self, call: Call) -> Answer:
        number = {
            name: self._number(call, name, default)
            for name, default in
            (("orderId", 0), ("startTime", 0), ("endTime", 1 << 62), ("page", 1), ("limit", 100))
        }  # fmt: skip
        pair = call.params.get("pairSymbol", "").replace("_", "")
        limit = min(number["limit"], 1000)
        found = (
            order_row(order)
            for order in reversed(self.view(call).orders.values())
            if pair in {"", order.symbol}
            and int(order.order_id) >= number["orderId"]
            and number["startTime"] <= order.created_ms <= number["endTime"]
        )
        first = (max(number["page"], 1) - 1) * limit
        return _ok(list(islice(found, first, first + limit)))

    def _trades(self, call: Call) -> Answer:
        book, order_id = self.view(call), call.params.get("orderId")
        if order_id is not None:
            if set(call.params) != {"orderId"}:
                raise self.refusal(call, "INVALID_PARAMETERS")
            return _ok(list(trade_rows(book.fills_of(order_id), book.orders)))
        pair = call.params.get("pairSymbol", "").replace("_", "")
        since_ms, until_ms = self._number(call, "startDate", 0), self._number(call, "endDate", 1 << 62)
        fills = (fill for fill in reversed(book.fills)
                 if pair in {"", fill.symbol} and since_ms <= fill.at_ms <= until_ms)  # fmt: skip
        return _ok(list(trade_rows(islice(fills, 1000), book.orders)))

    def _server_time(self, _call: Call) -> Answer:
        now_ms = self.now_ms()
        return json_answer(200, {"serverTime": now_ms, "serverTime2": str(now_ms)})

    def _exchange_info(self, _call: Call) -> Answer:
        """List some pairs, and every one that an order stands in."""
        books = [account.book for account in self.accounts.values()]
        pairs = sorted({*PAIRS, *(order.symbol for book in books for order in book.orders.values())})
        symbols = [{"id": number, "name": pair, "nameNormalized": "_".join(split(pair)), "status": "TRADING"}
                   for number, pair in enumerate(pairs, start=1)]  # fmt: skip
        return _ok({"timeZone": "UTC", "serverTime": self.now_ms(), "symbols": symbols})

    def _number(self, call: Call, name: str, default: int) -> int:
        text = call.params.get(name, str(default))
        if not text.isdigit():
            raise self.refusal(call, "INVALID_PARAMETERS")
        return int(text)

    def _is_new(self, account: str, stamp: int, forget_ms: int) -> bool:
        stamps = self._stamps.setdefault(account, {})
        while stamps and (oldest := next(iter(stamps))) < forget_ms:
            del stamps[oldest]
        if stamp in stamps:
            return False
        stamps[stamp] = None
        return True

    def _unauthorised(self, why: str) -> Refusal:
        message = f"Unauthorized - {why}"
        nonce = why == "Invalid Nonce"
        return Refusal(json_answer(401, {"success": nonce, "message": message, "code": 1037}), why, "bad_signature")


def ws_pair(account: Account) -> dict[str, str]:
    """Return the WebSocket's key pair of an account."""
    secret = base64.b64encode(b"ws " + base64.b64decode(account.api_secret)).decode()
    return {"api_key": account.api_key + WS_SUFFIX, "api_secret": secret}


def signature(key: str, secret: str, stamp: str) -> str:
    """Sign key and stamp, keyed with the bytes the secret encodes."""
    digest = hmac.new(base64.b64decode(secret), f"{key}{stamp}".encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def _ok(data: object = None) -> Answer:
    content: dict[str, object] = {"success": True, "message": "SUCCESS", "code": 0}
    return json_answer(200, content if data is None else {**content, "data": data})
