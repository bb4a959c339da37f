"""What `requests` refuses, as JSON Schema. `tests/unit/schemas/test_agreement.py` holds the two together."""

from typing import Final

from schemas.conditions import Conditions, always, given, text, when

CONDITIONS: Final[Conditions] = {
    "cancel": (
        when(given("order_id"), given("symbol"), why="A cancel by order_id needs the symbol, too."),
        always(text("order_id", pattern="^[1-9][0-9]{0,18}$"), why="An order's id is a number."),
    ),
}
