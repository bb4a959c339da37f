"""What a simulated venue is told from outside: its switches, and the positions and orders it starts with."""

from decimal import Decimal

from msgspec import Struct

from router.simulator.book import ZERO, Kind, Side, Status


class Behaviour(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Switches of a venue, set by `VenueSimulator.behave`. A venue subclasses it with its own.

    `cancel_delay_s` is how long an accepted cancel takes; `timestamp_window_s` how far a request's clock may be off.
    `ping_s` is the time between two pings of a feed's socket, which is closed when three of them had no answer.
    """

    rate_limits: bool = True
    maintenance: bool = False
    cancel_delay_s: float = 0.0
    timestamp_window_s: float = 5.0
    ping_s: float = 60.0


class PositionSeed(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A position to start with. `count` makes that many, each under its own id where the venue has ids."""

    symbol: str
    size: Decimal
    side: Side = "BUY"
    price: Decimal = ZERO
    position_id: str = ""
    account: str = "main"
    count: int = 1


class OrderSeed(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An order to start with. `count` makes that many, each under its own id."""

    symbol: str
    size: Decimal
    side: Side = "BUY"
    kind: Kind = "limit"
    price: Decimal = ZERO
    stop_price: Decimal = ZERO
    filled: Decimal = ZERO
    status: Status = "working"
    time_in_force: str = ""
    closes: str = ""
    client_order_id: str = ""
    order_id: str = ""
    account: str = "main"
    count: int = 1
