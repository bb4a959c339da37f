"""How metrics are kept: children of a labelled metric, one venue request, ages, and which program this is.

Looking up a labelled child costs more than counting, so children are kept.
"""

import os
import time
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import Final, Generic, Self, TypeVar

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.registry import Collector

from router.errors import MaybeSent, NotSent

UNKNOWN: Final = "unknown"
COMMIT: Final = "ORDER_ROUTER_COMMIT"
"""The variable that names the commit which an image was built from."""

_M = TypeVar("_M", bound=MetricWrapperBase)


class Labelled(Generic[_M]):
    """A metric and its children, each made once."""

    __slots__ = ("_children", "_metric")

    def __init__(self, metric: _M) -> None:
        self._metric = metric
        self._children: dict[tuple[str, ...], _M] = {}

    def __getitem__(self, labels: tuple[str, ...]) -> _M:
        child = self._children.get(labels)
        if child is None:
            child = self._children[labels] = self._metric.labels(*labels)
        return child


class Seen:
    """What one venue request came to. Set `status`, or tell the failure."""

    __slots__ = ("_began", "_done", "code_class", "status")

    def __init__(self, done: Callable[[str, float], None]) -> None:
        self.status: int | None = None
        self.code_class = "cancelled"
        self._done = done
        self._began = time.perf_counter()

    def failed(self, error: BaseException) -> None:
        """Note that there was no answer."""
        classes = {NotSent: "not_sent", MaybeSent: "maybe_sent"}
        self.code_class = next((name for kind, name in classes.items() if isinstance(error, kind)), "error")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Exception):
            self.failed(error)
        if self.status is not None:
            hundreds = self.status // 100
            self.code_class = f"{hundreds}xx" if 1 <= hundreds <= 5 else "other"
        self._done(self.code_class, time.perf_counter() - self._began)


class Ages(Collector):
    """A gauge that shows how old something is at the moment of the scrape, and nothing while there is none."""

    def __init__(self, name: str, text: str, *labels: str) -> None:
        self._name, self._text, self._labels = name, text, labels
        self._since: dict[tuple[str, ...], float] = {}

    def set(self, labels: tuple[str, ...], age_s: float | None) -> None:
        """Say how old the oldest is now; `None`: there is none."""
        if age_s is None:
            self._since.pop(labels, None)
        else:
            self._since[labels] = time.monotonic() - max(age_s, 0.0)

    def collect(self) -> Iterator[Metric]:
        """Return the ages of this moment."""
        family = GaugeMetricFamily(self._name, self._text, labels=self._labels)
        now = time.monotonic()
        for labels, since in self._since.items():
            family.add_metric(labels, now - since)
        yield family


def program() -> tuple[str, str]:
    """Return our version and the commit that it was built from; `unknown` where that is not on record."""
    try:
        number = version("order-router")
    except PackageNotFoundError:  # run from a source tree that is not installed
        number = UNKNOWN
    return number, os.environ.get(COMMIT) or _checked_out() or UNKNOWN


def _checked_out() -> str:
    """Return the commit of the source tree that we run from, if it is one."""
    git = Path(__file__).parents[2] / ".git"
    try:
        head = (git / "HEAD").read_text().strip()
        if not head.startswith("ref: "):
            return head[:12]
        reference = head.removeprefix("ref: ")
        loose = git / reference
        if loose.exists():
            return loose.read_text().strip()[:12]
        packed = (line.split() for line in (git / "packed-refs").read_text().splitlines())
        return next((words[0][:12] for words in packed if words[1:] == [reference]), "")
    except OSError:
        return ""
