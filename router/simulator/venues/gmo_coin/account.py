"""The GMO Coin account and its endpoints."""

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import islice
from typing import ClassVar, Final, Literal

from router.simulator.book import ZERO, Order, Position, Status, opposite
from router.simulator.call import Account, Answer, Call, Endpoint, Refusal, json_answer
from router.simulator.ledger import Subject
from router.simulator.market import part_of, reached
from router.simulator.rates import Breach, Rate
from router.simulator.seeds import Behaviour, OrderSeed, PositionSeed
from router.simulator.truth import ENDINGS, Ending
from router.simulator.venue import VenueSimulator
from router.simulator.venues.gmo_coin.close import Close, read_close
from router.simulator.venues.gmo_coin.feed import SUBSCRIBE_RATE, GmoFeed
from router.simulator.venues.gmo_coin.frames import CHANNELS
from router.simulator.venues.gmo_coin.rows import SYMBOLS, WORDS, fill_row, iso, order_row, position_row
from router.simulator.venues.gmo_coin.tokens import Tokens

SIMULATED: Final = "gmo-coin-simulated-secret"
DAY_MS: Final = 24 * 60 * 60 * 1000


class GmoBehaviour(Behaviour, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`unknown_order` is what a cancel of an order that does not exist gets.

    `reserves`: orders at work reserve what they close, as documented; without it only the position's size counts, as
    was measured at the same vendor's FX venue. `denied_channels` are those that tokens issued from now on may not hear.
    `expiry`: what the end of a token does to its open socket.
    """

    cancel_delay_s: float = 0.02
    service: Literal["OPEN", "PREOPEN", "MAINTENANCE"] = "OPEN"
    unknown_order: str = "ERR-151"
    reserves: bool = True
    denied_channels: tuple[str, ...] = ()
    expiry: Literal["kick", "silent", "ignore"] = "kick"


class GmoCoin(VenueSimulator):
    """A margin account with positions that are closed one by one."""

    venue = "gmo_coin"
    rates = (Rate(scope="get", count=20, period_s=1), Rate(scope="post", count=20, period_s=1), SUBSCRIBE_RATE)
    endings: ClassVar[Mapping[Status, Ending]] = {**ENDINGS, "failed": "expired"}
    behaviour_type = GmoBehaviour
    behaviour: GmoBehaviour
    first_order_id = 637001
    first_fill_id = 72123
    first_position_id = 1000343
    feed: GmoFeed

    def endpoints(self) -> Sequence[Endpoint]:
        """Return the private and public routes."""
        reads = {
            "orders": self._orders, "activeOrders": self._active_orders, "executions": self._executions,
            "latestExecutions": self._latest_executions, "openPositions": self._open_positions,
        }  # fmt: skip
        return [
            Endpoint(method="POST", path="/private/v1/closeOrder", name="close_order", action="close",
                     scope="post", handler=self._close_order),
            Endpoint(method="POST", path="/private/v1/cancelOrder", name="cancel_order", action="cancel",
                     scope="post", handler=self._cancel_order),
            *(Endpoint(method="GET", path=f"/private/v1/{path}", name=re.sub("([A-Z])", r"_\1", path).lower(),
                       action="read", scope="get", handler=handler) for path, handler in reads.items()),
            *(Endpoint(method=method, path="/private/v1/ws-auth", name="ws_auth", action="session", scope="post",
                       handler=self._token) for method in ("POST", "PUT", "DELETE")),
            Endpoint(method="GET", path="/public/v1/status", name="status", action="read", public=True,
                     handler=self._status),
            Endpoint(method="GET", path="/public/v1/symbols", name="symbols", action="read", public=True,
                     handler=self._symbols),
        ]  # fmt: skip

    def private_feed(self) -> GmoFeed:
        """Return the private WebSocket."""
        return GmoFeed(self)

    def urls(self, root: str) -> dict[str, str]:
        """Return the three base addresses."""
        socket = root.replace("http", "ws", 1)
        return {"rest_url": f"{root}/private", "public_url": f"{root}/public", "ws_url": f"{socket}/ws/private"}

    def create_accounts(self) -> None:
        """Add `main`."""
        self.tokens = Tokens()
        self.add_account("main", api_key="gmo-coin-simulated-key", api_secret=SIMULATED)

    def seed(self) -> None:
        """Put the examples of the documents on the book: position 1000342, orders 123456789 and 637000."""
        self.tokens.clear()
        self.market.prices["BTC_JPY"] = Decimal(876100)
        self.add_positions(PositionSeed(position_id="1000342", symbol="BTC_JPY", side="SELL", size=Decimal("10.32"),
                                        price=Decimal(876045)))  # fmt: skip
        for order_id in ("123456789", "637000"):
            self.add_orders(OrderSeed(order_id=order_id, symbol="BTC_JPY", side="BUY", price=Decimal(876045),
                                      size=Decimal("0.8"), time_in_force="FAS"))  # fmt: skip

    def key_of(self, headers: Mapping[str, str]) -> str:
        """Return API-KEY."""
        return headers.get("API-KEY", "")

    def authenticate(self, call: Call) -> None:
        """Check key, timestamp window and signature, in the order of the venue's codes."""
        key, stamp = self.key_of(call.headers), call.headers.get("API-TIMESTAMP", "")
        if not key:
            raise self._unauthorised("ERR-5011")
        if not (stamp.isascii() and stamp.isdigit()):
            raise self._unauthorised("ERR-5007")
        if not call.account.name:
            raise self._unauthorised("ERR-5012")
        window_ms = self.behaviour.timestamp_window_s * 1000
        if int(stamp) > call.now_ms + window_ms:
            raise self._unauthorised("ERR-5008")
        if int(stamp) < call.now_ms - window_ms:
            raise self._unauthorised("ERR-5009")
        wanted = signature(call.account.api_secret, stamp, call.method, call.path.removeprefix("/private"), call.body)
        if not hmac.compare_digest(wanted.encode(), call.headers.get("API-SIGN", "").encode()):
            raise self._unauthorised("ERR-5010")

    def subject(self, call: Call) -> Subject:
        """Read ids from the body, or `orderId` from the query."""
        body = call.object() or {}
        parts = body.get("settlePosition")
        part = parts[0] if isinstance(parts, list) and parts and isinstance(parts[0], dict) else {}
        return Subject(
            order_id=str(body.get("orderId", call.params.get("orderId", ""))),
            position_id=str(part.get("positionId", "")),
            symbol=str(body.get("symbol", call.params.get("symbol", ""))),
            size=str(part.get("size", "")),
            price=str(body.get("price", "")),
        )

    def error(self, call: Call, code: str) -> Answer:
        """Return the failure envelope."""
        return self._envelope(code or "ERR-554")

    def throttled(self, breach: Breach | None) -> Answer:
        """Return ERR-5003 with HTTP 200 and status 4."""
        return self._envelope("ERR-5003")

    def forbidden(self, call: Call) -> Answer:
        """Return ERR-5012, as for a key that is wrong."""
        return self._envelope("ERR-5012")

    def under_maintenance(self) -> Answer:
        """Return the envelope without `responsetime`."""
        return self._envelope("ERR-5201")

    def unknown_route(self) -> Answer:
        """Return ERR-5204 with HTTP 404."""
        return self._envelope("ERR-5204")

    # Orders

    def _close_order(self, call: Call) -> Answer:
        if self.behaviour.service == "PREOPEN":
            raise self.refusal(call, "ERR-5203")
        wanted = read_close(call.object() or {})
        if isinstance(wanted, str):
            raise self.refusal(call, wanted)
        self._check_position(call, wanted)
        stop = wanted.kind == "stop_market"
        order = Order(
            order_id=self.next_order_id(), symbol=wanted.symbol, side=wanted.side, kind=wanted.kind, size=wanted.size,
            price=wanted.price, closes=wanted.position_id, time_in_force=wanted.time_in_force,
            status="waiting" if stop else "working", created_ms=call.now_ms, updated_ms=call.now_ms,
        )  # fmt: skip
        if stop and wanted.symbol in self.market.prices and reached(order, self.market.prices[wanted.symbol]):
            raise self.refusal(call, "ERR-5129")
        self._match(call, self.place(call, order))
        return self._ok(order.order_id)

    def _match(self, call: Call, order: Order) -> None:
        """Trade what trades at once; end what may not rest. Where a symbol has no price yet, only MARKET trades."""
        if order.status == "waiting":
            return
        price = self.market.price(order, call.account.book)
        part = call.fault.fill if call.fault else None
        trades = order.kind == "market" or (order.symbol in self.market.prices and reached(order, price))
        price = price if trades else order.price
        if order.time_in_force == "SOK" and trades:
            self.market.end(call.account, order, "expired", "EXPIRED_SOK")
        elif order.time_in_force == "FAS":
            if trades or part is not None:
                size = part_of(order, part)
                self.market.fill(call.account, order, size=size, price=price, origin=call.origin)
        elif order.time_in_force in {"FAK", "FOK"}:
            whole = trades and part is None
            part = None if whole else (part if trades and part and order.time_in_force == "FAK" else ZERO)
            self.market.take(call.account, order, part=part, rest="expired",
                             reason=f"EXPIRED_{order.time_in_force}", origin=call.origin)  # fmt: skip

    def _check_position(self, call: Call, wanted: Close) -> None:
        book = call.account.book
        position = book.positions.get(wanted.position_id)
        if position is None or position.symbol != wanted.symbol:
            raise self.refusal(call, "ERR-254")
        if wanted.side != opposite(position.side):
            raise self.refusal(call, "ERR-70")
        if wanted.size > position.size:
            raise self.refusal(call, "ERR-189")
        if wanted.cancel_before:
            self._make_room(call.account, position, wanted.size)
        if self.behaviour.reserves and wanted.size > position.size - book.reserved().get(position.position_id, ZERO):
            raise self.refusal(call, "ERR-200")

    def _make_room(self, account: Account, position: Position, size: Decimal) -> None:
        """Cancel the oldest orders that close the position until `size` of it is free (`cancelBefore`)."""
        for order in account.book.live():
            if size <= position.size - account.book.reserved().get(position.position_id, ZERO):
                return
            if order.closes == position.position_id:
                self.market.end(account, order, "canceled", "USER")

    def _cancel_order(self, call: Call) -> Answer:
        order_id = (call.object() or {}).get("orderId")
        if type(order_id) is not int:
            raise self.refusal(call, "ERR-5106")
        order = call.account.book.orders.get(str(order_id))
        if order is None:
            raise self.refusal(call, self.behaviour.unknown_order)
        if order.status not in {"waiting", "working"}:
            raise self.refusal(call, "ERR-5122")
        self.market.cancel(
            call.account, order, delay_s=self.behaviour.cancel_delay_s, reason="USER", origin=call.origin
        )
        return self._ok()

    # Reads

    def _orders(self, call: Call) -> Answer:
        found = map(self.view(call).orders.get, self._ids(call, "orderId", "ERR-5106"))
        return self._list([order_row(order) for order in found if order])

    def _active_orders(self, call: Call) -> Answer:
        symbol = self._symbol(call)
        rows = (order_row(order) for order in reversed(self.view(call).live()) if order.symbol == symbol)
        return self._page(call, rows)

    def _executions(self, call: Call) -> Answer:
        by_order, by_id = call.params.get("orderId"), call.params.get("executionId")
        if by_order and by_id:
            raise self.refusal(call, "ERR-5208")
        book = self.view(call)
        if by_id:
            wanted = set(self._ids(call, "executionId", "ERR-430"))
            fills = [fill for fill in reversed(book.fills) if str(fill.fill_id) in wanted]
        else:
            fills = book.fills_of(self._ids(call, "orderId", "ERR-430")[0])
        return self._list([fill_row(fill) for fill in fills])

    def _latest_executions(self, call: Call) -> Answer:
        symbol, since_ms = self._symbol(call), call.now_ms - DAY_MS
        fills = (fill for fill in reversed(self.view(call).fills) if fill.symbol == symbol and fill.at_ms >= since_ms)
        return self._page(call, map(fill_row, fills))

    def _open_positions(self, call: Call) -> Answer:
        symbol, book = self._symbol(call), self.view(call)
        reserved = book.reserved()
        rows = (
            position_row(position, reserved.get(position.position_id, ZERO))
            for position in reversed(book.positions.values())
            if position.symbol == symbol
        )
        return self._page(call, rows)

    def _status(self, _call: Call) -> Answer:
        service = "MAINTENANCE" if self.behaviour.maintenance else self.behaviour.service
        return self._ok({"status": service})

    def _symbols(self, _call: Call) -> Answer:
        return self._ok([{"symbol": symbol, "minOrderSize": "0.01", "sizeStep": "0.01", "tickSize": "1"}
                         for symbol in SYMBOLS])  # fmt: skip

    # Access tokens of the private WebSocket

    def _token(self, call: Call) -> Answer:
        name, token = call.account.name, str((call.object() or {}).get("token"))
        if call.method == "POST":
            deaf = CHANNELS if "read" not in call.account.permissions else self.behaviour.denied_channels
            return self._ok(self.tokens.issue(name, call.now_ms, frozenset(deaf)))
        act = self.tokens.extend if call.method == "PUT" else self.tokens.revoke
        if not act(name, token, call.now_ms):
            raise self.refusal(call, "ERR-5106")
        return self._ok()

    # Envelopes

    def _unauthorised(self, code: str) -> Refusal:
        return Refusal(self._envelope(code), code, "bad_signature")

    def _ok(self, data: object = None) -> Answer:
        content: dict[str, object] = {"status": 0}
        if data is not None:
            content["data"] = data
        content["responsetime"] = iso(self.now_ms())
        return json_answer(200, content)

    def _envelope(self, code: str) -> Answer:
        status = {"ERR-5003": 4, "ERR-5201": 5, "ERR-5202": 5}.get(code, 1)
        content: dict[str, object] = {
            "status": status,
            "messages": [{"message_code": code, "message_string": WORDS.get(code, code)}],
        }
        if status != 5:
            content["responsetime"] = iso(self.now_ms())
        return json_answer(404 if code == "ERR-5204" else 200, content)

    def _list(self, rows: Sequence[dict[str, object]]) -> Answer:
        return self._ok({"list": rows} if rows else {})

    def _page(self, call: Call, rows: Iterable[dict[str, object]]) -> Answer:
        page, count = call.params.get("page", "1"), call.params.get("count", "100")
        if not (page.isdigit() and count.isdigit() and 1 <= int(count) <= 100 and int(page)):
            raise self.refusal(call, "ERR-5106")
        first = (int(page) - 1) * int(count)
        found = list(islice(rows, first, first + int(count)))
        pagination = {"currentPage": int(page), "count": int(count)}
        return self._ok({"pagination": pagination, "list": found} if found else {})

    def _ids(self, call: Call, name: str, code: str) -> list[str]:
        """Read a comma list of at most ten ids."""
        ids = call.params.get(name, "").split(",")
        if len(ids) > 10 or not all(text.isdigit() for text in ids):
            raise self.refusal(call, code)
        return ids

    def _symbol(self, call: Call) -> str:
        symbol = call.params.get("symbol", "")
        if symbol not in SYMBOLS:
            raise self.refusal(call, "ERR-5106")
        return symbol


def signature(secret: str, stamp: str, method: str, path: str, body: bytes) -> str:
    """Sign as the venue checks it: the body counts for POST alone."""
    text = f"{stamp}{method}{path}".encode() + (body if method == "POST" else b"")
    return hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()
