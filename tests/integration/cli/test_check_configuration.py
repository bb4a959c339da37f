"""What `check` says of configuration, keys and venues; what keeps no worker from its work is a warning only."""

import re
import subprocess
from pathlib import Path

import msgspec
import pytest

from router.simulator.faults import Fault
from tests.integration.cli.checking import check, waits
from tests.integration.feeds.listening import Topic
from tests.stack import ORDER_ROUTER, Stack, until

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("command", [("check",), ("worker",), ("feed",), ("journal", "list")])
def test_a_quarantine_below_its_floor(tmp_path: Path, command: tuple[str, ...]) -> None:
    """Exit status 78 everywhere, with the number that it must be."""
    file = tmp_path / "c.toml"
    file.write_text("[venues.btcturk]\ntimeout_s = 4\nquarantine_s = 8.9\n")
    done = subprocess.run([ORDER_ROUTER, *command, "--config", file], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (78, "")
    assert done.stderr.splitlines() == [
        f"{file}:3: venues.btcturk.quarantine_s: is 8.9; it must be at least 9, which is timeout_s (4) + "
        "timestamp_window_s (5)"
    ]


async def test_secrets_that_others_can_read(system: Stack) -> None:
    """The configuration, a secret's file and its mode are named once each; the exit status stays 0."""
    secret, alone = system.directory / "secret", system.directory / "alone"
    account = system.config["accounts"]["gmo_coin"]["main"]
    secret.write_text(account.pop("api_secret"))
    alone.write_text(account.pop("api_key"))
    secret.chmod(0o644)
    alone.chmod(0o600)
    account.update(api_secret_file=str(secret), api_key_file=str(alone))
    found = await check(system)
    assert (found.status, found.failed) == (0, {})
    warned = found.said("warning")
    said = (
        f"{secret} holds accounts.gmo_coin.main.api_secret_file, and every user of this machine can read it (mode 0644)"
    )
    assert warned.pop(f"file {secret}") == f"{said}: chmod 600"
    assert len(warned) == 1, "and the file with the other venues' keys"
    (told,) = warned.values()
    assert "and every user of this machine can read it" in told
    worker = await system.worker()
    assert said in worker.said()


async def test_a_venue_that_is_spoken_to_in_the_clear(system: Stack) -> None:
    """On another host: on this one nobody stands between."""
    assert not [name for name in (await check(system)).said("warning") if name.startswith("venues.")]
    system.change("venues.nami", rest_url="http://nami.invalid")
    found = await check(system)
    assert found.said("warning")["venues.nami.rest_url"].startswith("http://nami.invalid is not encrypted")
    assert list(found.failed) == ["clock nami"]
    assert found.failed["clock nami"].endswith("there is no host nami.invalid, or no name server that knows it")


async def test_a_stream_without_its_keys(system: Stack) -> None:
    """The feed would never be live, and says so; a worker without feeds needs no such key."""
    account = system.config["accounts"]["btcturk"]["main"]
    account.pop("ws_api_secret")
    found = await check(system)
    said = "ws_api_secret not configured: the order stream takes a key pair of its own"
    assert (found.status, found.failed) == (1, {"stream keys btcturk/main": said})
    assert (await check(system, "--no-feed")).status == 0
    async with Topic(system.broker_url, system.prefix) as topic:
        feed = await system.worker(command=("feed",))
        await until(lambda: topic.statuses("gmo_coin").count("live") > 0)
        assert said in feed.said()
        assert "live" not in topic.statuses("btcturk")


async def test_every_read_that_is_needed(system: Stack) -> None:
    """One line per account; what is refused is named with the venue's own code and words."""
    found = await check(system, "--online")
    assert (found.status, found.failed) == (0, {})
    reads = {name: said for name, said in found.said("ok").items() if name.startswith("signed reads ")}
    named = {
        f"signed reads {venue}/{name}" for venue, accounts in system.config["accounts"].items() for name in accounts
    }
    assert reads.keys() == named
    assert all(" reads were answered" in said for said in reads.values())
    assert not [name for name in (await check(system)).said("ok") if name.startswith("signed reads ")]
    system.change("accounts.gmo_coin.main", api_secret="of-somebody-else")
    system.simulators.venues["btcturk"].inject(Fault(on="trades", what="status", status=403, times=None))
    found = await check(system, "--online")
    assert found.status == 1
    assert found.failed["signed reads gmo_coin/main"].startswith("auth_failed ERR-5010 activeOrders: The ")
    assert found.failed["signed reads btcturk/main"].startswith("account_restricted 403 trades: ")
    assert len(found.failed) == 2


async def test_venues_that_do_not_answer(system: Stack) -> None:
    """A simulator that is away: the address is named, and that nobody listens there."""
    await system.simulators.stop()
    found = await check(system, "--online")
    url = system.config["venues"]["nami"]["rest_url"]
    at = url.removeprefix("http://")
    assert found.failed["clock nami"] == f"{url} cannot be reached: nothing listens at {at}"
    assert found.failed["signed reads nami/main"] == f"{url} cannot be read: nothing listens at {at}"


def test_a_pipe_gets_one_line_for_each(tmp_path: Path) -> None:
    """Status, what was looked at, the sentence: without colour, however long."""
    config = {"accounts": {"gmo_coin": {"main": {"api_key": "k", "api_secret": "s" * 8}}},
              "broker": {"url": "amqp://127.0.0.1:1/"}}  # fmt: skip
    file = tmp_path / "c.toml"
    file.write_bytes(msgspec.toml.encode(config))
    done = subprocess.run(
        [ORDER_ROUTER, "check", "--config", file], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (1, "")
    assert "\x1b" not in done.stdout
    assert [line.split()[0] for line in lines[:3]] == ["ok", "warning", "ok"]
    said = r"^failed   broker +cannot connect to amqp://127.0.0.1:1/: nothing listens at"
    assert re.search(said, done.stdout, re.MULTILINE)


async def test_a_worker_waits_for_its_venues(system: Stack) -> None:
    """They say nothing against it: what is wrong with a key is told in its log."""
    system.change("accounts.gmo_coin.main", api_secret="of-somebody-else")
    worker = await system.worker()
    await until(lambda: "a key cannot do what is needed" in worker.said())
    assert "auth_failed ERR-5010 activeOrders: The " in worker.said()
    assert await worker.ready()


async def test_tls_files_that_cannot_be_used(system: Stack) -> None:
    """They are read before anything is consumed: exit status 78, and each file by its name."""
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (system.directory / name).write_text("no certificate")
    url = system.broker_url.replace("amqp:", "amqps:")
    system.change("broker", url=url, ca_file=str(system.directory / "ca.pem"))
    for command in ("check", "worker"):
        process = await system.worker(wait=False, command=(command,))
        assert await process.process.wait() == 78
        assert f"broker.ca_file: {system.directory / 'ca.pem'} holds no certificate in PEM" in process.said()
    files = {"cert_file": str(system.directory / "cert.pem"), "key_file": str(system.directory / "key.pem")}
    system.change("broker", ca_file="", **files)
    process = await system.worker(wait=False, command=("check",))
    assert await process.process.wait() == 78
    assert f"{files['cert_file']} and {files['key_file']} are not a certificate and its key" in process.said()


async def test_the_worker_waits_where_check_fails(system: Stack) -> None:
    """The feeds wait for the broker with the same sentence."""
    system.change("broker", url="amqp://u:p@127.0.0.1:1/")
    sentence = (await check(system)).failed["broker"]
    assert sentence == "cannot connect to amqp://u:…@127.0.0.1:1/: nothing listens at 127.0.0.1:1"
    await waits(system, sentence, "feed")
