"""The private RabbitMQ node: it works, keeps to loopback, survives a crash of its own, and never outlives its owner."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from router.demo.rabbitmq_node import RabbitMQNode, free_ports, speaks_amqp
from router.errors import UserError
from tests.stack import until

pytestmark = pytest.mark.integration

OWNER = """
import signal, sys
from pathlib import Path
from router.demo.rabbitmq_node import RabbitMQNode
node = RabbitMQNode(Path(sys.argv[1]))
node.start()
print(node.port, flush=True)
signal.pause()
"""


def processes_of(directory: Path) -> set[int]:
    """Every living process of the node in a folder: all of them have it as HOME."""
    home, found = f"HOME={directory}".encode(), set()
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and home in (entry / "environ").read_bytes().split(b"\0"):
                found.add(int(entry.name))
        except OSError:
            continue  # it ended while we looked, or is not ours to look at
    return found


def addresses(pids: set[int]) -> set[str]:
    """The IPv4 and IPv6 addresses, in hexadecimal as /proc has them, on which these processes listen."""
    sockets = {link.readlink().name for pid in pids for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()}
    lines = [line for table in ("tcp", "tcp6") for line in Path("/proc/net", table).read_text().splitlines()[1:]]
    rows = [line.split() for line in lines]
    return {row[1].split(":")[0] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in sockets}


async def test_a_node_answers_at_its_url_and_leaves_nothing() -> None:
    """A started node speaks AMQP, on loopback only; once stopped it leaves no process, not even epmd, and no file."""
    said: list[str] = []
    node = RabbitMQNode()
    node.start(said.append)
    directory = node.directory
    try:
        assert node.url == f"amqp://guest:guest@127.0.0.1:{node.port}/"
        assert speaks_amqp(node.port)
        running = processes_of(directory)
        assert node.pid in running
        assert addresses(running) == {"0100007F", "00000000000000000000000001000000"}
        assert len(said) == 2
    finally:
        node.stop()
    await until(lambda: not processes_of(directory))
    assert not speaks_amqp(node.port)
    assert not directory.exists()


async def test_what_was_durable_is_there_after_a_crash(tmp_path: Path) -> None:
    """A restart kills the node and starts it on the same data and the same address; what it is told, it keeps."""
    with RabbitMQNode(tmp_path / "node") as node:
        url, pid = node.url, node.pid
        node.ctl("add_vhost", "kept")
        node.restart()
        assert node.pid != pid
        assert node.url == url
        assert "kept" in node.ctl("list_vhosts").split()


async def test_no_process_outlives_its_owner(tmp_path: Path) -> None:
    """The owner is killed without a chance to clean up: neither the node nor its epmd remains."""
    directory = tmp_path / "node"
    with subprocess.Popen([sys.executable, "-c", OWNER, directory], stdout=subprocess.PIPE) as owner:
        try:
            assert owner.stdout is not None
            port = int(owner.stdout.readline())
            assert speaks_amqp(port)
            assert processes_of(directory)
        finally:
            owner.kill()
    await until(lambda: not processes_of(directory))
    assert not speaks_amqp(port)


def test_another_server_is_not_taken_for_the_node(tmp_path: Path) -> None:
    """A node whose port was taken meanwhile refuses to start, and names the port."""
    node = RabbitMQNode(tmp_path / "node")
    with socket.create_server(("127.0.0.1", node.port)), pytest.raises(UserError, match=str(node.port)):
        node.start()


async def test_a_start_that_is_interrupted_leaves_nothing() -> None:
    """What `sleep` raises ends the start: neither a process nor a folder stays."""
    directories: list[Path] = []

    def interrupt(_: float) -> None:
        directories.append(node.directory)
        raise KeyboardInterrupt

    node = RabbitMQNode()
    with pytest.raises(KeyboardInterrupt):
        node.start(sleep=interrupt)
    assert not directories[0].exists()
    await until(lambda: not processes_of(directories[0]))


async def test_a_node_that_cannot_start_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A start that fails, here for want of epmd, ends with the last words of the log and leaves no process."""
    monkeypatch.setenv("PATH", str(tmp_path))
    node = RabbitMQNode(tmp_path / "node")
    setpriv = shutil.which("setpriv", path=os.defpath)
    assert setpriv is not None
    (tmp_path / "setpriv").symlink_to(setpriv)
    with pytest.raises(UserError, match=r"ended while starting:(.|\n)*epmd: No such file"):
        node.start()
    await until(lambda: not processes_of(tmp_path / "node"))


def test_a_stopped_node_takes_no_orders() -> None:
    """rabbitmqctl without a node would start an epmd that nobody ends, so it is not run."""
    with pytest.raises(UserError, match="not running"):
        RabbitMQNode().ctl("status")


def test_ports_are_free_and_apart_from_outgoing_ones() -> None:
    """Picked ports differ, can be bound, and lie below the range of outgoing connections."""
    ports = free_ports(5)
    assert len(set(ports)) == 5
    for port in ports:
        assert port < 32_768
        socket.create_server(("127.0.0.1", port)).close()
