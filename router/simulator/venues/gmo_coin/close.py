"""The form of a GMO Coin close: ids are JSON numbers, sizes and prices are strings."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from msgspec import Struct

from router.simulator.book import ZERO, Kind, Side
from router.simulator.venues.gmo_coin.rows import KINDS, SYMBOLS

_POST_ONLY: Final = {f"{coin}_JPY" for coin in ("BTC", "DOT", "ATOM", "ADA", "LINK", "DOGE", "SOL")}
_DECIMAL: Final = re.compile(r"[0-9]{1,16}(\.[0-9]{1,8})?")


class Close(Struct, frozen=True, kw_only=True):
    """A close as it was asked for, its form checked."""

    symbol: str
    side: Side
    kind: Kind
    time_in_force: str
    price: Decimal
    position_id: str
    size: Decimal
    cancel_before: bool


def read_close(body: Mapping[str, Any]) -> Close | str:
    """Return the close, or the code it is refused with: ERR-5106 for a wrong field, ERR-5111 for `timeInForce`."""
    parts = body.get("settlePosition")
    part = parts[0] if isinstance(parts, list) and len(parts) == 1 and isinstance(parts[0], dict) else {}
    kind = KINDS.get(str(body.get("executionType")))
    position_id, size, price = part.get("positionId"), _decimal(part.get("size")), body.get("price")
    if (
        body.get("symbol") not in SYMBOLS
        or body.get("side") not in {"BUY", "SELL"}
        or kind is None
        or (price is not None if kind == "market" else not _decimal(price))
        or type(position_id) is not int
        or not size
    ):
        return "ERR-5106"
    time_in_force = body.get("timeInForce", "FAS" if kind == "limit" else "FAK")
    post_only = kind == "limit" and body["symbol"] in _POST_ONLY
    if time_in_force not in {"FAK", "FAS", "FOK"} and not (time_in_force == "SOK" and post_only):
        return "ERR-5111"
    before = body.get("cancelBefore", False)
    if before is not False and (before, kind, time_in_force, body["side"]) != (True, "market", "FAK", "SELL"):
        return "ERR-5106"
    return Close(
        symbol=body["symbol"],
        side=body["side"],
        kind=kind,
        time_in_force=time_in_force,
        price=_decimal(price) or ZERO,
        position_id=str(position_id),
        size=size,
        cancel_before=before,
    )


def _decimal(value: object) -> Decimal | None:
    return Decimal(value) if isinstance(value, str) and _DECIMAL.fullmatch(value) else None
