"""GMO Coin: a look that cannot read everything concludes nothing."""

import pytest

from router.venue_protocol import (
    Accepted,
    Response,
    Unknown,
)
from tests.unit.venues.gmo_coin.looking import (
    BROKEN,
    CLOSE,
    Reads,
    answered,
    execution,
    is_seen,
    look,
    order,
    position,
)


@pytest.mark.parametrize("endpoint", ["orders", "openPositions"])
def test_what_was_seen_stays_seen_when_the_next_read_fails(endpoint: str) -> None:
    """An order that fits is not forgotten because a later read of the same look went wrong."""
    reads: Reads = {"activeOrders": [order()], "orders": [order()], endpoint: BROKEN[0]}
    assert is_seen(look(CLOSE, reads))


def test_pages_are_read_to_the_end() -> None:
    """The execution that proves it may be on the last page."""
    noise = [execution(n, executionId=n, positionId=7) for n in range(1, 251)]
    filled = order(status="EXECUTED", executedSize="3.44")
    sight = look(CLOSE, {"orders": [filled], "latestExecutions": [*noise, execution()]})
    assert isinstance(sight, Accepted)


def test_endless_pages_are_given_up() -> None:
    """Reading is bounded, and what was not read proves nothing."""
    full = answered([execution(n, executionId=n, positionId=7) for n in range(1, 101)])
    assert isinstance(look(CLOSE, {"latestExecutions": full}), Unknown)


@pytest.mark.parametrize("broken", BROKEN, ids=range(len(BROKEN)))
@pytest.mark.parametrize("endpoint", ["activeOrders", "latestExecutions", "orders", "openPositions"])
def test_a_read_that_fails_proves_nothing(endpoint: str, broken: Response) -> None:
    """A missing `data` is not an empty list, an error not an empty account."""
    reads: Reads = {"activeOrders": [order()], "orders": [order()], "openPositions": [position()], endpoint: broken}
    assert isinstance(look(CLOSE, reads), Unknown)


@pytest.mark.parametrize("broken", BROKEN, ids=range(len(BROKEN)))
def test_a_read_of_a_known_order_or_of_others_positions_may_fail_too(broken: Response) -> None:
    """Neither a known order nor a position that others closed is settled by a read that failed."""
    assert isinstance(look(CLOSE, {"orders": broken}, order_id="637000"), Unknown)
    losscut = order(637001, orderType="LOSSCUT", status="EXECUTED")
    reads: Reads = {"orders": [losscut], "latestExecutions": [execution(637001)], "openPositions": broken}
    assert isinstance(look(CLOSE, reads), Unknown)
