"""What `requests` refuses, as JSON Schema. `tests/unit/schemas/test_agreement.py` holds the two together."""

from typing import Final

from schemas.conditions import Conditions, always, left_out, text

CONDITIONS: Final[Conditions] = {
    "close": (
        always(
            left_out("position_id", "side", "price", "time_in_force"),
            {"properties": {"order_type": {"const": "market"}}},
            text("size", pattern="^[0-9]+$"),
            why="A close takes only a symbol and a whole number of contracts; without a size all of them are closed.",
        ),
        always(
            text("symbol", but_not="-PERP-INTX$"),
            why="International perpetuals (…-PERP-INTX) are not served by this API.",
        ),
    ),
    "cancel": (always(text("order_id", but_not="^[.]*$"), why="An order's id is more than dots."),),
}
