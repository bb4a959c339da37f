"""The command line from outside: help, exit statuses, one clear line for a mistake, and a quick start."""

import datetime
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from router.cli.formatting import event_line, result_line
from router.cli.send import build, stamped
from router.demo.observer import code_of
from schemas.commands import Cancel, Close
from schemas.events import LastFill, OrderEvent
from schemas.results import OrderState, Reason, Result

ORDER_ROUTER = str(Path(sys.executable).with_name("order-router"))
COMMANDS = ("worker", "dev", "demo", "simulate", "check", "schema", "send")
CANARY = "canary7f3a9c1e"


def run(*arguments: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the program in a folder, with none of our variables but the given ones."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ORDER_ROUTER_")}
    return subprocess.run(
        [ORDER_ROUTER, *arguments],
        cwd=cwd,
        env=clean | {f"ORDER_ROUTER_{name}": value for name, value in environ.items()},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def closed_url() -> str:
    """Return a broker URL that nobody listens at, with a password."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"amqp://u:{CANARY}@127.0.0.1:{server.getsockname()[1]}/"


def test_every_command_is_listed_with_one_whole_line(tmp_path: Path) -> None:
    """The list says what each command does, and is not cut off."""
    done = run("--help", cwd=tmp_path)
    assert done.returncode == 0
    listed = {line.split()[0]: line for line in done.stdout.partition("Commands:")[2].splitlines() if line.strip()}
    assert listed.keys() >= set(COMMANDS)
    assert not [name for name in COMMANDS if listed[name].endswith("...")]


@pytest.mark.parametrize("group", ["journal", "send", "dev"])
def test_every_command_of_a_group_is_listed_with_one_whole_line(tmp_path: Path, group: str) -> None:
    """At 80 columns, as the list of groups is."""
    done = run(group, "--help", cwd=tmp_path)
    listed = [line for line in done.stdout.partition("Commands:")[2].splitlines() if line.strip()]
    assert listed
    assert not [line for line in listed if line.endswith("...") or len(line) > 80]


def test_a_deadline_counts_from_the_publish() -> None:
    """Connecting may take a while: what was decided at the command line is stamped when it leaves."""
    fields = {"venue": "gmo_coin", "account": "main", "order_id": "1"}
    early = build("cancel", fields, command_id="c", ttl_s=30)
    now = datetime.datetime.now(datetime.UTC)
    late = stamped(msgspec.structs.replace(early, not_after=early.not_after - datetime.timedelta(seconds=20)), 30)
    assert late.issued_at is not None
    assert now <= late.issued_at
    assert late.not_after == late.issued_at + datetime.timedelta(seconds=30)
    assert (late.command_id, late.account) == ("c", "main")


@pytest.mark.parametrize(
    "command", [*((name,) for name in COMMANDS), *(("send", a) for a in ("close", "cancel", "close_all", "cancel_all"))]
)
def test_every_command_has_help(tmp_path: Path, command: tuple[str, ...]) -> None:
    """`--help` works without configuration, and names --config where one is read."""
    done = run(*command, "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith(f"Usage: order-router {' '.join(command)}")
    if command not in {("dev",), ("simulate",), ("schema",), ("send",)}:
        assert "--config FILE" in done.stdout


def test_help_starts_quickly(tmp_path: Path) -> None:
    """0.3 s on an idle machine; the guard is wide, and the imports that would break it are named."""
    began = time.perf_counter()
    run("--help", cwd=tmp_path)
    assert time.perf_counter() - began < 3
    code = "import sys, router.cli; print(' '.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"aio_pika", "aiohttp", "asyncio", "cryptography", "msgspec", "prometheus_client", "rich"} & set(loaded)


def test_without_a_command_the_usage_is_shown(tmp_path: Path) -> None:
    """Usage errors exit with 2."""
    assert run(cwd=tmp_path).returncode == 2
    assert run("no-such-command", cwd=tmp_path).returncode == 2
    assert run("worker", "--no-such-option", cwd=tmp_path).returncode == 2


@pytest.mark.parametrize("command", [("worker",), ("check",), ("send", "cancel", "--venue=x", "--account=y")])
def test_a_bad_configuration_exits_with_78_and_every_line(tmp_path: Path, command: tuple[str, ...]) -> None:
    """Each fault on stderr, no traceback, no secret, nothing on stdout."""
    text = f'[broker]\nurl = "http://u:{CANARY}@h"\nprefetch = 0\n[accounts.gmo_coin.main]\napi_key = "{CANARY}"\n'
    (tmp_path / "order-router.toml").write_text(text)
    done = run(*command, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (78, "")
    assert done.stderr.splitlines() == [
        "order-router.toml:4: accounts.gmo_coin.main.api_secret: is missing (or api_secret_file, api_secret_env)",
        "order-router.toml:3: broker.prefetch: expected `int` >= 1",
        "order-router.toml:2: broker.url: must be amqp:// or amqps:// with a host",
    ]


def test_a_worker_needs_an_account(tmp_path: Path) -> None:
    """Without one it could only refuse; that is a configuration error, found before the broker is asked."""
    done = run("worker", cwd=tmp_path)
    assert done.returncode == 78
    assert done.stderr.startswith("accounts: none is configured")
    assert len(done.stderr.splitlines()) == 1


def test_a_file_that_is_not_there_exits_with_78(tmp_path: Path) -> None:
    """Named by the option or by the variable."""
    for done in (run("worker", "--config", "no.toml", cwd=tmp_path), run("worker", cwd=tmp_path, CONFIG="no.toml")):
        assert done.returncode == 78
        assert done.stderr == "no.toml: cannot be read: No such file or directory\n"


def test_send_says_in_one_line_that_there_is_no_broker(tmp_path: Path, closed_url: str) -> None:
    """No traceback and no password."""
    done = run("send", "cancel", "--venue=nami", "--account=main", "--order-id=1", cwd=tmp_path, BROKER__URL=closed_url)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("order-router: cannot connect to amqp://u:…@127.0.0.1:")
    assert CANARY not in line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("close", "--venue=x", "--account=y"), "--symbol"),
        (("close", "--venue=x", "--account=y", "--symbol=a b"), "symbol: expected the venue"),
        (("close", "--venue=x", "--account=y", "--symbol=s", "--size=-1"), "size: expected a decimal above zero"),
        (("close", "--venue=x", "--account=y", "--symbol=s", "--side=up"), "'up'"),
        (("cancel", "--venue=x", "--account=y", "--param=novalue"), "is not KEY=VALUE"),
        (("cancel", "--venue=x", "--account=y", "--ttl=-1"), "--ttl"),
    ],
)
def test_send_refuses_what_cannot_be_a_command(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    """A usage error that names the field, before anything is read or sent."""
    done = run("send", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr


def test_check_goes_through_everything_and_fails_if_anything_does(tmp_path: Path, closed_url: str) -> None:
    """A broker that is down hides nothing of the journal."""
    done = run("check", "--json", cwd=tmp_path, BROKER__URL=closed_url)
    found = {line["check"]: line["status"] for line in json.loads(done.stdout)}
    assert done.returncode == 1
    assert found == {"configuration": "ok", "secrets": "failed", "broker": "failed", "journal": "ok"}
    assert CANARY not in done.stdout + done.stderr
    assert done.stderr == ""


def test_check_names_a_journal_that_cannot_be_written(tmp_path: Path, closed_url: str) -> None:
    """The line says which; the exit status is 1."""
    done = run("check", cwd=tmp_path, BROKER__URL=closed_url, JOURNAL__URL="sqlite:////proc/no/journal.db")
    assert done.returncode == 1
    assert any(line.startswith("failed   journal") for line in done.stdout.splitlines()), done.stdout


def test_simulate_says_in_one_line_that_a_port_is_taken(tmp_path: Path) -> None:
    """The system's own words."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run("simulate", "--port", str(taken.getsockname()[1]), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert "address already in use" in line


def test_a_reader_that_goes_away_is_no_traceback(tmp_path: Path) -> None:
    """`order-router schema | head -1`."""
    with subprocess.Popen(
        [ORDER_ROUTER, "schema"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert b"Traceback" not in process.stderr.read()


def test_version_and_program_name(tmp_path: Path) -> None:
    """`--version` is one line."""
    done = run("--version", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("order-router ")


def test_a_worker_without_broker_is_stopped_by_a_signal(tmp_path: Path, closed_url: str) -> None:
    """It waits for the broker, and SIGTERM ends it in order, exit 0."""
    (tmp_path / "order-router.toml").write_text(
        f'[broker]\nurl = "{closed_url}"\n[http]\nport = 0\n'
        f'[accounts.gmo_coin.main]\napi_key = "{CANARY}-key"\napi_secret = "{CANARY}-secret"\n'
    )
    log = tmp_path / "log"
    with log.open("w") as stderr, subprocess.Popen([ORDER_ROUTER, "worker"], cwd=tmp_path, stderr=stderr) as process:
        _until(lambda: "cannot connect" in log.read_text() or process.poll() is not None)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, log.read_text()
    assert CANARY not in log.read_text()
    assert "Traceback" not in log.read_text()


def test_build_makes_a_command_of_options() -> None:
    """Texts stay texts, parameters that are JSON are taken as such, what was not given is not sent."""
    given = {"venue": "gmo_coin", "account": "main", "symbol": "BTC_JPY", "price": "1.10", "side": None}
    close = build("close", given, params=["cancel_before=true", "note=a=b", "n=1"], ttl_s=10)
    assert isinstance(close, Close)
    assert (close.price, close.side, close.params) == ("1.10", None, {"cancel_before": True, "note": "a=b", "n": 1})
    assert close.issued_at is not None
    assert (close.not_after - close.issued_at).total_seconds() == 10
    cancel = build("cancel", {"venue": "nami", "account": "main"}, command_id="mine")
    assert isinstance(cancel, Cancel)
    assert cancel.command_id == "mine"
    assert build("cancel", {"venue": "nami", "account": "main"}).command_id != "mine"


def _result(**changes: object) -> Result:
    at = build("close", {"venue": "x", "account": "y", "symbol": "z"}).not_after
    fields: dict[str, object] = {
        "result_id": "r", "seq": 1, "final": True, "command_id": "c", "action": "cancel", "venue": "nami",
        "account": "main", "outcome": "rejected", "received_at": at, "completed_at": at,
    }  # fmt: skip
    return Result(**fields | changes)  # type: ignore[arg-type]  # the test's own fields


@pytest.mark.parametrize(
    ("result", "line"),
    [
        (_result(outcome="accepted"), "accepted  cancel nami/main  by router"),
        (
            _result(reason=Reason(code="order_not_found", venue_code="1152", message="gone"), order_id="7"),
            "rejected  cancel nami/main  order_not_found (1152): gone  order 7  by router",
        ),
        (
            _result(outcome="done", order=OrderState(status="canceled", size="2", filled_size="1"), evidence="query"),
            "done  cancel nami/main  canceled, filled 1 of 2  by query",
        ),
        (_result(outcome="in_doubt", final=False), "in_doubt  cancel nami/main  by router  not final"),
        (
            _result(venue=None, account=None, action=None, reason=Reason(code="invalid_command"), duplicate=True),
            "rejected  command ?/?  invalid_command  by router  repeated",
        ),
    ],
    ids=["accepted", "rejected", "done", "in doubt", "undecodable"],
)
def test_a_result_is_one_line(result: Result, line: str) -> None:
    """Outcome first, then what and why."""
    assert result_line(result) == line


def _event(**changes: object) -> OrderEvent:
    fields: dict[str, object] = {
        "event_id": "e", "venue": "nami", "account": "main", "seq": 3, "order_id": "7", "symbol": "s", "side": "buy",
        "order_type": "limit", "status": "working", "size": "2", "filled_size": "0", "source": "stream",
        "received_at": build("close", {"venue": "x", "account": "y", "symbol": "z"}).not_after,
    }  # fmt: skip
    return OrderEvent(**fields | changes)  # type: ignore[arg-type]  # the test's own fields


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (_event(), "event seq 3  nami/main  order 7  working, filled 0 of 2  by stream"),
        (
            _event(status="filled", filled_size="2", last_fill=LastFill(price="1.50")),
            "event seq 3  nami/main  order 7  filled 2 of 2 at 1.50  by stream",
        ),
        (
            _event(status="canceled", filled_size="1", size=None, cancel_reason="USER", source="poll"),
            "event seq 3  nami/main  order 7  canceled, filled 1 of ?  USER  by poll",
        ),
    ],
    ids=["working", "filled", "canceled"],
)
def test_an_event_is_one_line(event: OrderEvent, line: str) -> None:
    """Which change of which order, and how it became known."""
    assert event_line(event) == line


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b'{"status":0,"data":"637000"}', "status 0"),
        (b'{"success":true}', "success true"),
        (b'{"results":[{"success":false}]}', "success false"),
        (b'{"code":1052,"success":false}', "code 1052"),
        (b'{"results":[]}', ""),
        (b'{"results":5}', ""),
        (b"[1]", ""),
        (b"<html>", ""),
        (b"", ""),
    ],
)
def test_the_demo_reads_a_venues_word_from_any_answer(body: bytes, word: str) -> None:
    """Whatever the bytes; the first word that says yes or no."""
    assert code_of(body) == word


def _until(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < ends, "did not happen within 30 s"
        time.sleep(0.02)
