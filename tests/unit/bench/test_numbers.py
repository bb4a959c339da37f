"""What the benchmark makes of its rounds."""

import random
import statistics

import pytest

from tests.bench.latency import pooled, spread
from tests.bench.lineup import rotated
from tests.bench.medians import median, quantile
from tests.bench.race import Heat
from tests.bench.targets import Target, exactly, ratios, speed


def heat(contestant: str, number: int, commands_per_s: float) -> Heat:
    """A heat that was this fast."""
    return Heat(round=number, contestant=contestant, commands_per_s=commands_per_s, cpu_us=1.0, peak_mib=1.0)


class TestMedian:
    """The interval is the one of order statistics."""

    @pytest.mark.parametrize(
        ("count", "low", "high", "confidence"),
        [(1, 1, 1, 0.0), (5, 1, 5, 0.9375), (6, 1, 6, 0.9688), (9, 2, 8, 0.9609), (20, 6, 15, 0.9586)],
    )
    def test_the_interval_is_that_of_the_published_tables(
        self, count: int, low: int, high: int, confidence: float
    ) -> None:
        """Values 1, 2, …: the interval is between the ranks that tables of the sign test give."""
        values = list(range(1, count + 1))
        random.shuffle(values)
        found = median([float(value) for value in values])
        assert (found.low, found.high, found.confidence) == (low, high, confidence)
        assert found.value == statistics.median(values)

    def test_the_interval_holds_the_true_median_as_often_as_it_says(self) -> None:
        """Of many samples of twenty, about 19 in 20 have the true median in their interval."""
        chance = random.Random(1)
        tries = [median([chance.expovariate(1.0) for _ in range(20)]) for _ in range(2_000)]
        true = 0.6931
        assert 0.94 < sum(found.low <= true <= found.high for found in tries) / len(tries) < 0.975


class TestQuantiles:
    """Quantiles are values that were measured."""

    def test_a_quantile_is_the_least_value_that_enough_do_not_exceed(self) -> None:
        """Nearest rank."""
        values = [float(value) for value in range(1, 101)]
        assert [quantile(values, share) for share in (0.5, 0.99, 0.999, 1.0)] == [50, 99, 100, 100]
        assert quantile([7.0], 0.5) == 7

    def test_the_slowest_of_several_passes_give_the_quantile_of_them_all(self) -> None:
        """p99.9 of the pooled passes is that of all latencies together, though only the slowest are kept."""
        chance = random.Random(2)
        passes = [[chance.expovariate(100.0) for _ in range(5_000)] for _ in range(4)]
        every = sorted(value * 1e3 for one in passes for value in one)
        assert pooled([spread(one) for one in passes], 0.999) == round(every[-21], 2)


class TestPairs:
    """Ratios are taken within a round."""

    def test_a_round_without_a_partner_does_not_count(self) -> None:
        """Only rounds in which both ran are compared."""
        heats = [heat("a", 0, 10), heat("b", 0, 20), heat("a", 1, 30), heat("a", 2, 9), heat("b", 2, 3)]
        assert ratios(heats, "a", "b", speed) == [0.5, 3.0]

    def test_a_bound_is_a_least_or_a_greatest_value(self) -> None:
        """A target on the line holds; beyond it, it does not."""
        assert Target(what="", found=exactly(0.75), bound=0.75, at_least=True).holds
        assert not Target(what="", found=exactly(0.74), bound=0.75, at_least=True).holds
        assert Target(what="", found=exactly(1.35), bound=1.35).holds
        assert not Target(what="", found=exactly(1.36), bound=1.35).holds
        assert Target(what="", found=exactly(99.0)).holds

    def test_everybody_runs_first_once(self) -> None:
        """The order rotates."""
        assert [rotated("abc", by)[0] for by in range(4)] == ["a", "b", "c", "a"]
