"""What `requests` refuses, as JSON Schema. `tests/unit/schemas/test_agreement.py` holds the two together."""

from typing import Final

from schemas.conditions import Conditions, always, given, one_of, text, when

_ID: Final = "^[1-9][0-9]{0,18}$"

CONDITIONS: Final[Conditions] = {
    "close": (
        always(
            given("position_id", "side", "size"),
            text("position_id", pattern=_ID),
            why="A close names the position by its number, and the side and size of the closing order.",
        ),
        when(
            one_of("time_in_force", "post_only"),
            one_of("order_type", "limit"),
            why="post_only is taken only with order_type limit.",
        ),
        when(
            {"properties": {"params": {"type": "object", **one_of("cancel_before", True)}}, "required": ["params"]},
            {
                "properties": {
                    "order_type": {"const": "market"},
                    "time_in_force": {"enum": ["ioc", None]},
                    "side": {"const": "sell"},
                }
            },
            why="cancel_before is taken only with order_type market, time_in_force ioc and side sell.",
        ),
    ),
    "cancel": (always(text("order_id", pattern=_ID), why="An order's id is a number."),),
}
