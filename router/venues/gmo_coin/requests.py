"""The two requests that act ("Close Order", "Cancel Order"), and the reads."""

from collections.abc import Collection
from typing import Final

import msgspec
from msgspec import Struct

from router.venue_protocol import NoParams, Refused, Request, read_params
from router.venue_protocol.reading import is_id
from schemas.commands import Cancel, Close, Command

PAGE_ROWS: Final = 100
MAX_IDS: Final = 10
"""How many ids one GET /v1/orders takes."""

_TIME_IN_FORCE: Final = {"gtc": "FAS", "ioc": "FAK", "fok": "FOK", "post_only": "SOK"}


class CloseParams(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Extras of a close."""

    cancel_before: bool = False
    """Cancel the oldest orders first when the size is not available."""


class _Settle(Struct, frozen=True, kw_only=True, rename="camel"):
    position_id: int
    size: str


class _CloseOrder(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    symbol: str
    side: str
    execution_type: str
    time_in_force: str | None = None
    price: str | None = None
    settle_position: tuple[_Settle]
    cancel_before: bool = False


class _CancelOrder(Struct, frozen=True, kw_only=True, rename="camel"):
    order_id: int


def request(command: Command) -> Request | Refused:
    """Build closeOrder or cancelOrder, or refuse what this venue cannot honour."""
    if isinstance(command, Close):
        return _close(command)
    if isinstance(command, Cancel):
        return _cancel(command)
    return Refused(code="unsupported", message='type: expected "close" or "cancel" at gmo_coin')


def _close(command: Close) -> Request | Refused:
    position_id, side, size, force = command.position_id, command.side, command.size, command.time_in_force
    params = read_params(command.params, CloseParams, "close")
    if isinstance(params, Refused):
        return params
    if position_id is None or side is None or size is None:
        missing = [name for name in ("position_id", "side", "size") if getattr(command, name) is None]
        they = "it is" if len(missing) == 1 else "they are"
        return _invalid(f"{', '.join(missing)}: {they} missing; a close at gmo_coin needs position_id, side and size")
    if not is_id(position_id):
        return _invalid('position_id: expected a whole number above zero in a string, such as "1000342"')
    if (command.price is None) != (command.order_type == "market"):
        rule = "not taken with" if command.price else "it is missing; it is needed with"
        return _invalid(f"price: {rule} order_type {command.order_type}")
    if force == "post_only" and command.order_type != "limit":
        return Refused(code="unsupported", message="time_in_force: post_only is taken only with order_type limit")
    fits = command.order_type == "market" and force in {None, "ioc"} and side == "sell"
    if params.cancel_before and not fits:
        return Refused(
            code="unsupported",
            message="params.cancel_before: taken only with order_type market, time_in_force ioc and side sell",
        )
    body = _CloseOrder(
        symbol=command.symbol,
        side=side.upper(),
        execution_type=command.order_type.upper(),
        time_in_force=_TIME_IN_FORCE[force] if force else None,
        price=command.price,
        settle_position=(_Settle(position_id=int(position_id), size=size),),
        cancel_before=params.cancel_before,
    )
    return _post("closeOrder", body)


def _cancel(command: Cancel) -> Request | Refused:
    params = read_params(command.params, NoParams, "cancel")
    if isinstance(params, Refused):
        return params
    if command.order_id is None or not is_id(command.order_id):
        return _invalid('order_id: expected a whole number above zero in a string, such as "637000"')
    return _post("cancelOrder", _CancelOrder(order_id=int(command.order_id)))


def _post(name: str, body: Struct) -> Request:
    return Request(method="POST", path=f"/v1/{name}", endpoint=name, body=msgspec.json.encode(body), scopes=("post",))


def _invalid(message: str) -> Refused:
    return Refused(code="invalid_command", message=message)


def page(name: str, symbol: str, number: int) -> Request:
    """Read a page of `activeOrders`, `latestExecutions` or `openPositions`; each is of one symbol."""
    return _get(name, (("symbol", symbol), ("page", str(number)), ("count", str(PAGE_ROWS))))


def orders(ids: Collection[int]) -> Request:
    """Read up to ten orders by their ids."""
    return _get("orders", (("orderId", ",".join(map(str, ids))),))


def executions(order_id: int) -> Request:
    """Read the executions of an order."""
    return _get("executions", (("orderId", str(order_id)),))


def symbols() -> Request:
    """Read which symbols there are ("Symbols", public)."""
    return Request(method="GET", path="/v1/symbols", endpoint="symbols", scopes=("public",), public=True)


def _get(name: str, query: tuple[tuple[str, str], ...]) -> Request:
    return Request(method="GET", path=f"/v1/{name}", endpoint=name, query=query, scopes=("get",))
