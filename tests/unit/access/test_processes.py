"""Names of processes: who is dead, and who may not be taken for dead."""

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from router.access.processes import is_dead, name_this

PROGRAM = "from router.access.processes import name_this; print(name_this(), flush=True); input()"


@pytest.fixture
def other() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Another process, and its name."""
    command = [sys.executable, "-c", PROGRAM]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
        process.kill()


def test_a_process_is_alive_until_it_ends(other: tuple[subprocess.Popen[str], str]) -> None:
    """Frozen is not dead; ended but not waited for is."""
    process, name = other
    assert not is_dead(name)
    process.send_signal(signal.SIGSTOP)
    assert not is_dead(name)
    process.kill()
    process.wait()
    assert is_dead(name)


def test_a_process_that_its_parent_forgot_is_dead(other: tuple[subprocess.Popen[str], str]) -> None:
    """It sends nothing any more, though its number is still taken."""
    process, name = other
    assert process.stdout is not None
    process.kill()
    assert process.stdout.read() == ""  # it has ended, and nobody has waited for it yet
    while not is_dead(name):
        assert process.returncode is None


def test_who_lives_elsewhere_is_not_known_to_be_dead() -> None:
    """On another machine, in another container, or under a name that is none of ours."""
    boot, space, pid, began, token = name_this().split(":")
    assert not is_dead(":".join((boot, space, pid, began, token)))
    assert not is_dead(":".join(("another boot", space, "999999999", began, token)))
    assert not is_dead(":".join((boot, "another space", "999999999", began, token)))
    assert not is_dead("worker 1")
    assert is_dead(":".join((boot, space, "999999999", began, token)))
    assert is_dead(":".join((boot, space, pid, "1", token))), "its number is another's now"


def test_no_two_names_are_equal() -> None:
    """A process that lost its share takes another name."""
    assert name_this() != name_this()
