"""The Coinbase futures account and its endpoints."""

import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import islice, takewhile
from typing import Any, Final, Literal

from router.simulator.book import Order, Position, opposite, plain
from router.simulator.call import Account, Action, Answer, Call, Endpoint, Refusal, json_answer
from router.simulator.ledger import Subject
from router.simulator.rates import Breach, Rate
from router.simulator.seeds import Behaviour, OrderSeed, PositionSeed
from router.simulator.venue import VenueSimulator
from router.simulator.venues.coinbase.answers import (
    HTTP_CODES,
    cancel_row,
    created,
    gateway_error,
    proto_error,
    rejected,
    unauthorized,
)
from router.simulator.venues.coinbase.bearer import PublicKey, fault_of, key_id, public_key
from router.simulator.venues.coinbase.feed import CoinbaseFeed
from router.simulator.venues.coinbase.keys import ED25519_KEY, ES256_KEY, KEY_NAME
from router.simulator.venues.coinbase.rows import STATUSES, configuration, fill_row, iso, order_row, position_row

BASE: Final = "/api/v3/brokerage"
MOST_CANCELS: Final = 100

_FUTURE: Final = re.compile(r"[A-Z0-9]+-[0-9A-Z]+-CDE")


class CoinbaseBehaviour(Behaviour, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`reuse`: what a client_order_id that has an order already does; `oversize`: what a size beyond the position does.

    `page_size` is the most rows a page has. `source` is the placement source of orders from now on. `hides_rows`: lists
    show nothing until a proof token is sent, and say so.

    Of the user endpoint: `subscribe_within_s` and `heartbeat_s` are its times; `fresh_jwt`: a token counts once;
    `late_ack`: data comes before the acknowledgement; `empty_last_batch`: an empty batch follows a full last one.
    """

    cancel_delay_s: float = 0.02
    reuse: Literal["replay", "duplicate", "execute"] = "replay"
    oversize: Literal["reject", "clamp"] = "reject"
    page_size: int = 5
    source: str = "RETAIL_ADVANCED"
    hides_rows: bool = False
    subscribe_within_s: float = 5.0
    heartbeat_s: float = 1.0
    fresh_jwt: bool = True
    late_ack: bool = False
    empty_last_batch: bool = True


class Coinbase(VenueSimulator):
    """A futures account: one netted position per product."""

    venue = "coinbase"
    rates = (Rate(scope="private", count=30, period_s=1), Rate(scope="public", count=10, period_s=1, per="ip"))
    behaviour_type = CoinbaseBehaviour
    behaviour: CoinbaseBehaviour
    feed: CoinbaseFeed

    def endpoints(self) -> Sequence[Endpoint]:
        """Return the routes below the brokerage API."""
        cancel, close = self._batch_cancel, self._close_position
        reads = {
            "list_orders": ("/orders/historical/batch", self._list_orders),
            "fills": ("/orders/historical/fills", self._fills),
            "get_order": ("/orders/historical/{order_id}", self._get_order),
            "positions": ("/cfm/positions", self._positions),
            "position": ("/cfm/positions/{product_id}", self._position),
            "key_permissions": ("/key_permissions", self._key_permissions),
        }
        return [
            _endpoint("POST", "/orders/close_position", "close_position", "close", handler=close),
            _endpoint("POST", "/orders/batch_cancel", "batch_cancel", "cancel", handler=cancel),
            *(_endpoint("GET", path, name, "read", handler=handler) for name, (path, handler) in reads.items()),
            Endpoint(method="GET", path=BASE + "/time", name="time", action="read", scope="public", public=True,
                     handler=self._time),
        ]  # fmt: skip

    def private_feed(self) -> CoinbaseFeed:
        """Return the user endpoint."""
        return CoinbaseFeed(self)

    def order_ids(self, ids_from: int) -> Iterator[str]:
        """Iterate over UUIDs."""
        while True:
            yield str(uuid.uuid4())

    def create_accounts(self) -> None:
        """Add `main`, which signs with ES256, and `ed25519`."""
        self._keys: dict[str, PublicKey] = {}
        self._by_client_id: dict[tuple[str, str], str] = {}
        self.add_account("main", api_key=KEY_NAME + "2", api_secret=ES256_KEY)
        self.add_account("ed25519", api_key=KEY_NAME + "3", api_secret=ED25519_KEY)

    def add_account(self, name: str, *, api_key: str, api_secret: str, permissions: Sequence[Action] = ()) -> Account:
        """Open an account; raises `ValueError` for a secret that is no key."""
        self._keys[api_key] = public_key(api_secret)
        return super().add_account(name, api_key=api_key, api_secret=api_secret, permissions=permissions)

    def seed(self) -> None:
        """Give every account the document's product and open order."""
        self._by_client_id.clear()
        product = "BIT-28JUL23-CDE"
        for name in ("main", "ed25519"):
            self.add_positions(PositionSeed(account=name, symbol=product, size=Decimal(9), price=Decimal(29300)))
        self.add_orders(OrderSeed(order_id="11111-00000-000000", symbol=product, side="SELL", size=Decimal(3),
                                  price=Decimal(31000), client_order_id="placed-by-hand"))  # fmt: skip

    def position_id(self, seed: PositionSeed) -> str:
        """Return the product: positions are netted."""
        return seed.symbol

    def key_of(self, headers: Mapping[str, str]) -> str:
        """Return the token's `kid`."""
        return key_id(headers.get("Authorization", "").removeprefix("Bearer "))

    def authenticate(self, call: Call) -> None:
        """Check the token; every fault of it is the same plain 401."""
        account, token = call.account, call.headers.get("Authorization", "").removeprefix("Bearer ")
        key = self._keys.get(account.api_key)
        wanted = f"{call.method} {call.host}{call.path}"
        fault = fault_of(token, key, kid=account.api_key, uri=wanted, now_s=call.now_ms / 1000) if key else "kid"
        if fault:
            raise Refusal(unauthorized(), fault, "bad_signature")

    def holder(self, token: str) -> Account | None:
        """Return whose token of the user endpoint this is, if it is good now."""
        account = self.keyholder(key_id(token))
        key = self._keys.get(account.api_key) if account else None
        if account is None or key is None:
            return None
        return None if fault_of(token, key, kid=account.api_key, uri=None, now_s=self.now_ms() / 1000) else account

    def subject(self, call: Call) -> Subject:
        """Read ids from the body or the path."""
        body = call.object() or {}
        ids = body.get("order_ids")
        product = str(body.get("product_id", call.path_ids.get("product_id", call.params.get("product_ids", ""))))
        return Subject(
            client_order_id=str(body.get("client_order_id", "")),
            order_id=",".join(map(str, ids)) if isinstance(ids, list) else call.path_ids.get("order_id", ""),
            position_id=product if call.endpoint.action == "close" else "",
            symbol=product,
            size=str(body.get("size", "")),
        )

    def error(self, call: Call, code: str) -> Answer:
        """Word a code where this endpoint has its codes; a gateway's code (`NOT_FOUND` …) as an HTTP error."""
        if code in HTTP_CODES or call.endpoint.action == "read":
            return gateway_error(code or "UNAVAILABLE")
        body = call.object() or {}
        if call.endpoint.action == "close":
            return rejected(code or "UNKNOWN_FAILURE_REASON", body)
        ids = body.get("order_ids")
        rows = [cancel_row(order_id, code or "UNKNOWN_CANCEL_FAILURE_REASON") for order_id in ids or []]
        return json_answer(200, {"results": rows})

    def throttled(self, breach: Breach | None) -> Answer:
        """Return 429."""
        return json_answer(429, {"errors": [{"id": "rate_limit_exceeded", "message": "Too many requests"}]})

    def forbidden(self, call: Call) -> Answer:
        """Return 403."""
        content = {"error": "PERMISSION_DENIED", "error_details": "Missing required scopes",
                   "message": "Missing required scopes"}  # fmt: skip
        return json_answer(403, content)

    def under_maintenance(self) -> Answer:
        """Return the gateway's 503."""
        return gateway_error("UNAVAILABLE")

    # Closing and cancelling

    def _close_position(self, call: Call) -> Answer:
        body = self._body(call, {"client_order_id": str, "product_id": str, "size": (str, int)})
        client_order_id, product = body.get("client_order_id"), body.get("product_id")
        if not client_order_id or not product:
            raise self.refusal(call, "INVALID_ARGUMENT")
        earlier = self._by_client_id.get((call.account.name, client_order_id))
        if earlier and self.behaviour.reuse != "execute":
            return self._reused(call, earlier, body)
        if not _FUTURE.fullmatch(product):
            raise self.refusal(call, "INVALID_PRODUCT_ID")
        position = call.account.book.positions.get(product)
        if position is None:
            raise self.refusal(call, "CANNOT_CLOSE_ZERO_POSITION")
        return self._execute(call, position, client_order_id, self._contracts(call, body, position))

    def _execute(self, call: Call, position: Position, client_order_id: str, size: Decimal) -> Answer:
        order = Order(
            order_id=self.next_order_id(), client_order_id=client_order_id, symbol=position.symbol, kind="market",
            side=opposite(position.side), size=size, closes=position.position_id, time_in_force="IOC",
            source=self.behaviour.source, created_ms=call.now_ms, updated_ms=call.now_ms,
        )  # fmt: skip
        self._by_client_id[call.account.name, client_order_id] = order.order_id
        part = call.fault.fill if call.fault else None
        self.place(call, order)
        self.market.take(call.account, order, part=part, rest="canceled", reason="IOC", origin=call.origin)
        return created(order, configuration(order))

    def _contracts(self, call: Call, body: Mapping[str, Any], position: Position) -> Decimal:
        """Return how many contracts to close: all of them when the size is left out."""
        if "size" not in body:
            return position.size
        text = str(body["size"])
        if not re.fullmatch(r"[0-9]{1,9}", text) or not int(text):
            raise self.refusal(call, "INVALID_SIZE_PRECISION")
        if Decimal(text) > position.size and self.behaviour.oversize == "reject":
            raise self.refusal(call, "REDUCE_ONLY_INCREASED_POSITION_SIZE")
        return min(Decimal(text), position.size)

    def _reused(self, call: Call, order_id: str, body: Mapping[str, Any]) -> Answer:
        """Answer for an id that has an order: with that order, but in the terms of the new request."""
        if self.behaviour.reuse == "duplicate":
            raise self.refusal(call, "DUPLICATE_CLIENT_ORDER_ID")
        self.record("replayed", call, order_id)
        order = call.account.book.orders[order_id]
        size = str(body.get("size", plain(order.size)))
        return created(order, {"market_market_ioc": {"base_size": size}}, product=body["product_id"])

    def _batch_cancel(self, call: Call) -> Answer:
        order_ids = self._body(call, {"order_ids": list}).get("order_ids")
        if not order_ids or not all(isinstance(order_id, str) for order_id in order_ids):
            raise self.refusal(call, "INVALID_ARGUMENT")
        if len(order_ids) > MOST_CANCELS:
            raise Refusal(gateway_error("INVALID_ARGUMENT", f"too many order ids, limit is {MOST_CANCELS}"), "limit")
        return json_answer(200, {"results": [self._cancel(call, order_id) for order_id in order_ids]})

    def _cancel(self, call: Call, order_id: str) -> dict[str, object]:
        order = call.account.book.orders.get(order_id)
        if order is None:
            return cancel_row(order_id, "UNKNOWN_CANCEL_ORDER")
        refused = {
            "filled": "ORDER_IS_FULLY_FILLED",
            "canceling": "DUPLICATE_CANCEL_REQUEST",
            "modifying": "ORDER_IS_BEING_REPLACED",
        }.get(order.status)
        if refused or order.status not in {"working", "waiting"}:
            return cancel_row(order_id, refused or "INVALID_CANCEL_REQUEST")
        delay_s = self.behaviour.cancel_delay_s
        self.market.cancel(call.account, order, delay_s=delay_s, reason="User requested cancel", origin=call.origin)
        return cancel_row(order_id, "UNKNOWN_CANCEL_FAILURE_REASON", success=True)

    def _body(self, call: Call, fields: Mapping[str, type | tuple[type, ...]]) -> dict[str, Any]:
        """Read a body as the Protobuf gateway does: a field it does not know, or of another type, is 400."""
        body = call.object()
        if body is None:
            raise Refusal(proto_error(call.body, "syntax error", b""), "proto")
        for name, value in body.items():
            if name not in fields:
                raise Refusal(proto_error(call.body, f'unknown field "{name}"', name.encode()), "proto")
            if not isinstance(value, fields[name]) or isinstance(value, bool):
                raise Refusal(proto_error(call.body, f"invalid value for field {name}", name.encode()), "proto")
        return body

    # Reads

    def _get_order(self, call: Call) -> Answer:
        book = self.view(call)
        order = book.orders.get(call.path_ids["order_id"])
        if order is None:
            message = "order with this orderID was not found"
            raise Refusal(gateway_error("NOT_FOUND", message), "NOT_FOUND")
        return json_answer(200, {"order": order_row(order, len(book.fills_of(order.order_id)))})

    def _list_orders(self, call: Call) -> Answer:
        source = call.params.get("order_placement_source", "RETAIL_ADVANCED")
        until_ms = _time_param(self, call, "end_date")
        wanted = {name: set(call.all_params(name)) for name in ("order_ids", "product_ids", "order_status")}
        side, book = call.params.get("order_side"), self.view(call)
        found = (
            order_row(order, len(book.fills_of(order.order_id)))
            for order in _since(reversed(book.orders.values()), _time_param(self, call, "start_date"))
            if (order.source or "RETAIL_ADVANCED") == source
            and (until_ms is None or order.created_ms < until_ms)
            and side in {None, order.side}
            and _among(wanted["order_ids"], order.order_id)
            and _among(wanted["product_ids"], order.symbol)
            and _among(wanted["order_status"], STATUSES[order.status])
        )
        rows, cursor = self._page(call, found)
        if self.behaviour.hides_rows:
            return _hiding("orders")
        return json_answer(200, {"orders": rows, "has_next": bool(cursor), "cursor": cursor, "sequence": "0"})

    def _fills(self, call: Call) -> Answer:
        ids, products = set(call.all_params("order_ids")), set(call.all_params("product_ids"))
        since_ms = _time_param(self, call, "start_sequence_timestamp") or 0
        found = (
            fill_row(fill)
            for fill in reversed(self.view(call).fills)
            if _among(ids, fill.order_id) and _among(products, fill.symbol) and fill.at_ms >= since_ms
        )
        rows, cursor = self._page(call, found)
        if self.behaviour.hides_rows:
            return _hiding("fills")
        return json_answer(200, {"fills": rows, "cursor": cursor})

    def _page(self, call: Call, rows: Iterable[dict[str, object]]) -> tuple[list[dict[str, object]], str]:
        """Return one page of rows and the cursor of the next; empty on the last."""
        most = self.behaviour.page_size
        start, limit = call.params.get("cursor") or "0", call.params.get("limit", "0")
        if not start.isdigit() or not limit.isdigit():
            raise self.refusal(call, "INVALID_ARGUMENT")
        end = int(start) + min(int(limit) or most, most)
        found = list(islice(rows, int(start), end + 1))
        more = len(found) > end - int(start)
        return found[: end - int(start)], str(end) if more else ""

    def _positions(self, call: Call) -> Answer:
        return json_answer(200, {"positions": [position_row(row) for row in self.view(call).positions.values()]})

    def _position(self, call: Call) -> Answer:
        position = self.view(call).positions.get(call.path_ids["product_id"])
        if position is None:
            raise self.refusal(call, "NOT_FOUND")
        return json_answer(200, {"position": position_row(position)})

    def _key_permissions(self, call: Call) -> Answer:
        trades = "close" in call.account.permissions
        return json_answer(200, {"can_view": True, "can_trade": trades, "can_transfer": False,
                                 "portfolio_uuid": str(uuid.UUID(int=1)), "portfolio_type": "DEFAULT"})  # fmt: skip

    def _time(self, _call: Call) -> Answer:
        now_ms = self.now_ms()
        return json_answer(200, {"iso": iso(now_ms), "epochSeconds": str(now_ms // 1000), "epochMillis": str(now_ms)})


def _endpoint(method: str, path: str, name: str, action: Action, handler: Callable[[Call], Answer]) -> Endpoint:
    return Endpoint(method=method, path=BASE + path, name=name, action=action, scope="private", handler=handler)


def _hiding(kind: str) -> Answer:
    return json_answer(200, {kind: [], "has_next": False, "cursor": "", "proof_token_required": True})


def _among(wanted: set[str], value: str) -> bool:
    return not wanted or value in wanted


def _since(orders: Iterable[Order], since_ms: int | None) -> Iterable[Order]:
    """Cut a list, newest first, where it gets older than `since_ms`."""
    return orders if since_ms is None else takewhile(lambda order: order.created_ms >= since_ms, orders)


def _time_param(simulator: Coinbase, call: Call, name: str) -> int | None:
    text = call.params.get(name)
    try:
        return int(datetime.fromisoformat(text).timestamp() * 1000) if text else None
    except ValueError:
        raise simulator.refusal(call, "INVALID_ARGUMENT") from None
