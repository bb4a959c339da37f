"""A log that cannot be written is no obstacle: nothing raises, nothing waits, and what was lost is told."""

import io
import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from router.telemetry.log_output import LogOutput


def told(lines: int) -> str:
    """Return the line that says so."""
    return f"lost {lines}\n"


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file of this process grows beyond 100 bytes, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, ignored)


@pytest.mark.usefixtures("small_files")
def test_a_full_disk_loses_lines_and_nothing_else(tmp_path: Path) -> None:
    """The line in the middle of which it was full is ended before the next."""
    path = tmp_path / "log"
    with path.open("w") as stream:
        output = LogOutput(stream, told)
        for _ in range(5):
            output.write("x" * 29 + "\n")
        assert output.lost == 2
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
        output.write("again\n")
    assert path.read_text().splitlines() == [*(["x" * 29] * 3), "x" * 10, "lost 2", "again"]


def test_a_pipe_that_nobody_reads_is_not_waited_for() -> None:
    """A log collector that stands still does not hold a cancel."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream, os.fdopen(reading) as reader:
        output = LogOutput(stream, told)
        for _ in range(2000):
            output.write("x" * 99 + "\n")
        lost = output.lost
        assert lost > 1000
        os.set_blocking(reading, False)
        read = os.read(reading, 1 << 20).decode().splitlines()
        assert len(read) + lost >= 2000
        output.write("again\n")
        assert reader.read().splitlines()[-2:] == [f"lost {lost}", "again"]


def test_a_pipe_that_is_closed_is_no_error() -> None:
    """`order-router worker 2>&1 | head` ends the reader, not the worker."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        output = LogOutput(stream, told)
        output.write("gone\n")
        assert output.lost == 1


def test_a_stream_without_a_file_is_written_to() -> None:
    """As tests have."""
    stream = io.StringIO()
    LogOutput(stream, told).write("line\n")
    assert stream.getvalue() == "line\n"
