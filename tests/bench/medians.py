"""Quantiles, and medians with the interval that they are known within."""

import math
import statistics
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

CONFIDENCE: Final = 0.95


class Median(Struct, frozen=True, kw_only=True):
    """The median of `count` values, and where the true one lies with a probability of `confidence`."""

    value: float
    low: float
    high: float
    count: int
    confidence: float


def median(values: Sequence[float]) -> Median:
    """Return the median and its narrowest interval between two of the values that is right 95 times of 100.

    Nothing is assumed of how the values are spread: a value lies on either side of the true median with probability
    one half, so how many lie below it is a binomial number. Fewer than 6 values cannot be so sure: then it is the
    interval from the least to the greatest, with the confidence that it has.
    """
    ordered, count = sorted(values), len(values)
    outside = max((k for k in range(count // 2 + 1) if _confidence(count, k) >= CONFIDENCE), default=0)
    return Median(
        value=statistics.median(ordered),
        low=ordered[outside],
        high=ordered[count - 1 - outside],
        count=count,
        confidence=round(_confidence(count, outside), 4),
    )


def quantile(values: Sequence[float], share: float) -> float:
    """Return the least value that this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)]


def _confidence(count: int, outside: int) -> float:
    """Return how surely the median lies between two of `count` values, with `outside` more beyond each of them."""
    if count - 1 - outside <= outside:
        return 0.0
    return 1 - 2 * sum(math.comb(count, below) for below in range(outside + 1)) / math.pow(2, count)
