"""Ids of what is new at a simulated venue."""

from decimal import Decimal

import pytest

from router.simulator.seeds import OrderSeed, PositionSeed
from router.simulator.venues import names, simulator_type


@pytest.mark.parametrize("venue", sorted(set(names()) - {"coinbase"}))
def test_ids_go_on_from_a_number_that_is_given(venue: str) -> None:
    """Orders and positions; those of the documents keep theirs."""

    def new(ids_from: int) -> tuple[int, int]:
        simulator = simulator_type(venue)(ids_from=ids_from)
        (order,) = simulator.add_orders(OrderSeed(symbol="S", size=Decimal(1)))
        (position,) = simulator.add_positions(PositionSeed(symbol="S", size=Decimal(1)))
        return int(order.order_id), int(position.position_id)

    assert [later - first for first, later in zip(new(0), new(1_000_000), strict=True)] == [1_000_000, 1_000_000]
    first, later = simulator_type(venue)(), simulator_type(venue)(ids_from=1_000_000)
    assert first.accounts["main"].book.orders.keys() == later.accounts["main"].book.orders.keys()
