"""How much is measured."""

from msgspec import Struct

from tests.bench.lineup import LINEUP, Contestant

GROWTH_BACKLOG = 4_000


class Plan(Struct, frozen=True, kw_only=True):
    """What the command line asks for."""

    rounds: int = 20
    backlog: int = 10_000
    latency_seconds: float = 8.0
    overload_seconds: float = 60.0
    lineup: tuple[Contestant, ...] = LINEUP

    @property
    def fewer(self) -> int:
        """The rounds of a curve, which is not judged by pairs."""
        return max(self.rounds // 4, 1)

    @property
    def growth_backlog(self) -> int:
        """The backlog of a point of a curve."""
        return min(self.backlog, GROWTH_BACKLOG)
