"""`order-router dev`: what it prints is true, what it keeps survives, and it ends when told to."""

import json
import os
import re
import signal
import socket
import subprocess
import tomllib
import urllib.request
from pathlib import Path

import pytest

from tests.integration.cli.dev_process import (
    ORDER_ROUTER,
    Terminal,
    command,
    developing,
    environment,
    unused_ports,
)
from tests.sender import Sender, cancel, in_seconds
from tests.stack import until
from tests.unit.cli.terminal import plain

pytestmark = pytest.mark.integration


def refused(arguments: list[str], cwd: Path) -> str:
    """Run a command that cannot be done and return the one line that says why."""
    done = subprocess.run(
        arguments, cwd=cwd, env=environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    (line,) = done.stderr.splitlines()
    return line


async def test_what_it_prints_can_be_pasted(tmp_path: Path) -> None:
    """A close, a fault whose close is found by its records, the list of both; a second server is refused meanwhile."""
    ports = unused_ports()
    with developing(tmp_path, ports) as dev:
        await dev.up()
        assert "for development only" in dev.out
        urls = re.findall(r"^(\w+) +(?:amqp|http)://\S*127\.0\.0\.1:(\d+)", dev.out, re.MULTILINE)
        fixed = {"broker": ports[0], "worker": ports[1]}
        fixed |= {name: ports[2] + place for place, name in enumerate(("btcturk", "coinbase", "gmo_coin", "nami"))}
        assert {name: int(port) for name, port in urls} == fixed
        for port in fixed.values():
            socket.create_connection(("127.0.0.1", port)).close()

        send, arm, listing = dev.commands()
        sent = dev.paste(send)
        assert (sent.returncode, sent.stdout.split()[0]) == (0, "accepted"), sent.stderr
        armed = dev.paste(arm)
        assert (armed.returncode, armed.stderr) == (0, "")
        doubted = dev.paste(send)
        assert [line.split()[0] for line in doubted.stdout.splitlines()] == ["in_doubt", "accepted"], doubted.stderr
        assert doubted.returncode == 0
        assert [line.split()[0] for line in dev.paste(listing).stdout.splitlines()] == ["accepted", "accepted"]

        assert "another `order-router dev` runs in" in refused(command(unused_ports()), tmp_path)
        assert await dev.ended(signal.SIGTERM) == 0
    assert not dev.left()
    assert "Traceback" not in dev.err + dev.out + dev.log


async def test_a_restart_keeps_the_journal_the_configuration_and_new_ids(tmp_path: Path) -> None:
    """The same command is answered with the same result; no order has an id that the journal knows already."""
    ports, again = unused_ports(), "--command-id c-1"
    with developing(tmp_path, ports) as dev:
        await dev.up()
        assert "Queues and journal were kept" not in dev.out
        first = dev.paste(f"{dev.commands()[0]} {again}")
        assert await dev.ended(signal.SIGINT) == 0
    file = dev.folder / "order-router.toml"
    file.write_text(file.read_text().replace("drain_timeout_s = 3.0", "drain_timeout_s = 2.5  # mine"))
    with developing(tmp_path, ports) as dev:
        await dev.up()
        assert "Queues and journal were kept. The venues began anew" in dev.out
        assert dev.paste(f"{dev.commands()[0]} {again}").stdout == first.stdout.replace("\n", "  repeated\n")
        fresh = dev.paste(dev.commands()[0]).stdout
        assert fresh.startswith("accepted ")
        assert int(fresh.split("order ")[1].split()[0]) > 1_000_000
        assert len(dev.paste(dev.commands()[2]).stdout.splitlines()) == 2
        assert await dev.ended(signal.SIGINT) == 0
    assert "drain_timeout_s = 2.5  # mine" in file.read_text()
    assert '"timeout_s":2.5' in dev.log


async def test_a_command_published_before_a_crash_is_answered_after(tmp_path: Path) -> None:
    """The server is frozen, so that nobody handles the command, and killed: its queue and the one for answers stay."""
    ports = unused_ports()
    sender = Sender(f"amqp://guest:guest@127.0.0.1:{ports[0]}/", "orders", durable=True)
    with developing(tmp_path, ports) as dev:
        await dev.up()
        assert await dev.ended(signal.SIGTERM) == 0  # RabbitMQ 3.10 writes down a second later which queues there are
    with developing(tmp_path, ports) as dev:
        await dev.up()
        await sender.connect()
        dev.process.send_signal(signal.SIGSTOP)
        command_id = await sender.publish(cancel(not_after=in_seconds(120)))
        dev.process.kill()
        await until(lambda: sender.lost)
    await until(lambda: not dev.left())
    assert sender.results_of(command_id) == []
    with developing(tmp_path, ports) as dev:
        await dev.up()
        async with sender:
            await sender.connect()
            result = await sender.final(command_id)
        assert (result["outcome"], result["duplicate"]) == ("accepted", False)
        assert await dev.ended(signal.SIGTERM) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_while_it_starts_ends_it_in_order(tmp_path: Path, number: signal.Signals) -> None:
    """Exit 0, no process left, and nothing printed that is not there."""
    with developing(tmp_path, unused_ports()) as dev:
        await until(lambda: dev.left() or dev.process.poll() is not None)
        assert await dev.ended(number) == 0, dev.err
        assert not dev.left()
        assert dev.out == ""
        assert "Traceback" not in dev.err


async def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    """While it waits for a venue that does not answer; the broker goes with it."""
    ports = unused_ports()
    with developing(tmp_path, ports) as dev:
        await dev.up()
        assert await dev.ended(signal.SIGTERM) == 0
    file = dev.folder / "order-router.toml"
    file.write_text(file.read_text().replace("drain_timeout_s = 3.0", "drain_timeout_s = 60.0"))
    with developing(tmp_path, ports) as dev:
        await dev.up()
        armed = dev.paste(f"{ORDER_ROUTER} dev fault gmo_coin answer on=cancel when=after delay_s=50 --config {file}")
        assert armed.returncode == 0, armed.stderr
        sender = Sender(f"amqp://guest:guest@127.0.0.1:{ports[0]}/", "orders")
        async with sender:
            await sender.publish(cancel(not_after=in_seconds(120)))
            await until(lambda: '"count":1' in _get(ports[2] + 2, "/_sim/ledger?kind=fault"))
            dev.process.send_signal(signal.SIGINT)
            await until(lambda: '"draining"' in dev.log)
            assert await dev.ended(signal.SIGINT) == -signal.SIGINT
            await until(lambda: sender.lost)
    await until(lambda: not dev.left())
    assert "Traceback" not in dev.err


async def test_it_ends_when_its_broker_does(tmp_path: Path) -> None:
    """Nothing here would work any more: one sentence that says where to look, exit 1."""
    with developing(tmp_path, unused_ports()) as dev:
        await dev.up()
        for pid in dev.left():
            os.kill(pid, signal.SIGKILL)
        assert await dev.ended() == 1
        assert dev.err.splitlines()[-1].startswith("order-router: the RabbitMQ node has ended; its last words are in /")


@pytest.mark.parametrize(("place", "who"), [(0, "RabbitMQ"), (1, "the worker's metrics"), (2, "the simulated btcturk")])
def test_a_port_in_use_is_one_sentence(tmp_path: Path, place: int, who: str) -> None:
    """Which port, what it is for, and the option that moves it; the folder can be used again."""
    ports = unused_ports()
    option = ("--broker-port", "--http-port", "--venues-port")[place]
    said = f"order-router: port {ports[place]}, meant for {who}, is in use; choose another with {option}"
    with socket.create_server(("127.0.0.1", ports[place])):
        assert refused(command(ports), tmp_path) == said
        assert refused(command(ports), tmp_path) == said


def test_a_port_for_two_is_one_sentence(tmp_path: Path) -> None:
    """The metrics and a venue cannot share one."""
    broker, _, venues = unused_ports()
    said = refused(command([broker, venues + 1, venues]), tmp_path)
    assert said.endswith("meant for both the worker's metrics and the simulated coinbase; move one with --venues-port")


async def test_on_a_terminal_nothing_is_wider_than_it(tmp_path: Path) -> None:
    """80 columns; what is folded can still be pasted. A variable that leads elsewhere is named, and not followed."""
    elsewhere = {"ORDER_ROUTER_BROKER__URL": "amqp://elsewhere/"}
    with Terminal(command(unused_ports()), tmp_path, 80, **elsewhere) as terminal:
        await terminal.until("a second one at once")
        lines = plain(terminal.shown()).splitlines()
        first = next(number for number, line in enumerate(lines) if "for development only" in line)
        assert max(map(len, lines[first:])) <= 80
        assert "warning: unset ORDER_ROUTER_BROKER__URL: " in "\n".join(lines)
        folded = re.findall(r"^  (\S+ (?:.*\\\n)+.*)$", "\n".join(lines), re.MULTILINE)
        assert len(folded) == 3
        done = subprocess.run(["bash", "-c", folded[1]], cwd=tmp_path, env=environment(), timeout=60, check=False)
        assert done.returncode == 0
        terminal.process.send_signal(signal.SIGINT)
        await terminal.until("stopped")
        assert terminal.process.wait(30) == 0


def test_an_unknown_fault_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    """Before anything is asked; the same for a field and for a fault of a feed."""
    for arguments, said in (
        (("reset",), ('"drop"', '"hang"', '"reset_after_headers"', 'got "reset"')),
        (("reset", "--feed"), ('"cut"', '"evict"', 'got "reset"')),
        (("drop", "wehn=after"), ("wehn: a fault has no such field; did you mean when?",)),
        (("drop", "after"), ("'after' is not FIELD=VALUE",)),
    ):
        done = subprocess.run(
            [ORDER_ROUTER, "dev", "fault", "gmo_coin", *arguments],
            cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stdout) == (2, "")
        assert not [part for part in said if part not in done.stderr], done.stderr


def test_no_real_venue_hears_of_a_fault(tmp_path: Path) -> None:
    """A configuration that leads elsewhere is refused, and so is one where nobody answers."""
    (tmp_path / "order-router.toml").write_text("[venues.gmo_coin]\ntimeout_s = 1.0\n")
    arm = [str(ORDER_ROUTER), "dev", "fault", "gmo_coin", "drop"]
    assert (
        refused(arm, tmp_path)
        == "order-router: gmo_coin leads to api.coin.z.com, which is no simulator on this machine"
    )
    port = unused_ports()[0]
    (tmp_path / "order-router.toml").write_text(f'[venues.gmo_coin]\nrest_url = "http://127.0.0.1:{port}/private"\n')
    assert refused(arm, tmp_path).startswith(f"order-router: no simulator answers at 127.0.0.1:{port}: ")


def test_as_json_it_says_the_same_to_programs(tmp_path: Path) -> None:
    """One line: what runs where, and the commands."""
    process = subprocess.Popen([*command(unused_ports()), "--json"], cwd=tmp_path, env=environment(),
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)  # fmt: skip
    with process:
        try:
            assert process.stdout is not None
            said = json.loads(process.stdout.readline())
            file = said["places"]["configuration"]
            assert tomllib.loads(Path(file).read_text())["broker"]["url"] == said["places"]["broker"]
            assert len(said["try"]) == 3
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        finally:
            process.kill()


def _get(port: int, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        return str(answer.read().decode())
