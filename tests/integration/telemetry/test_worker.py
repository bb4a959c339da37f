"""What a real worker tells its operators: lines in its log, samples at a scrape, alerts on the broker."""

import datetime
import json
import re
import resource
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Collection
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import aio_pika
import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families

from router.simulator.faults import Fault
from tests.sender import Sender, cancel, close, in_seconds
from tests.stack import Stack, WorkerProcess, until

pytestmark = pytest.mark.integration

CONTRACT: Final = (
    "commands_received_total", "commands_total", "command_seconds", "dispatch_seconds", "queue_wait_seconds",
    "venue_requests_total", "venue_request_seconds", "venue_errors_total", "retries_total", "rate_limit_wait_seconds",
    "in_flight", "in_doubt", "in_doubt_oldest_seconds", "duplicates_total", "dead_letters_total", "redeliveries_total",
    "results_diverted_total", "parked", "outbox_pending", "outbox_oldest_seconds", "journal_up",
    "journal_commit_seconds", "consuming", "draining", "order_events_total", "feed_up",
    "feed_last_message_timestamp_seconds", "feed_gaps_total", "feed_reconnects_total", "clock_skew_seconds",
    "event_loop_lag_seconds", "halted", "contradictions_total", "build_info",
)  # fmt: skip
"""Every metric of the contract's section 7."""
FULL_BYTES: Final = 4096


def lines(worker: WorkerProcess, event: str) -> list[dict[str, Any]]:
    """Return what the worker has logged under a name."""
    # A disk that was full cuts a line off.
    told = (json.loads(line) for line in worker.said().splitlines() if line.startswith("{") and line.endswith("}"))
    return [line for line in told if line["event"] == event]


class Alerts:
    """Hears the queue `<prefix>.alerts`."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []
        self.types: set[str | None] = set()

    async def hear(self, message: aio_pika.abc.AbstractIncomingMessage) -> None:
        """Keep an alert."""
        self.heard.append(json.loads(message.body))
        self.types.add(message.type)
        await message.ack()

    def of(self, code: str) -> list[dict[str, Any]]:
        """Return those of a code, resolved ones left out."""
        return [alert for alert in self.heard if alert["code"] == code and not alert["resolved"]]


@pytest_asyncio.fixture
async def alerts(system: Stack) -> AsyncIterator[Alerts]:
    """Start a worker with feeds under the name pod-1, and listen to its alerts."""
    await system.worker({"ORDER_ROUTER_POD": "pod-1", "ORDER_ROUTER_COMMIT": "abc1234"}, command=("worker", "--feed"))
    heard = Alerts()
    connection = await aio_pika.connect(system.broker_url)
    async with connection:
        queue = await (await connection.channel()).get_queue(f"{system.prefix}.alerts")
        await queue.consume(heard.hear)
        yield heard


async def poison(sender: Sender) -> None:
    """Publish what cannot be read."""
    await sender.publish_raw(b"{", "gmo_coin.main.close", correlation_id="poison")
    await sender.final("poison")


async def test_a_life_is_told_in_the_log(system: Stack, sender: Sender, alerts: Alerts) -> None:
    """A line at the start and the end, one for each final result, a warning for a doubt and for each dead letter."""
    (worker,) = system.workers
    venue = system.simulators.venues["gmo_coin"]
    venue.inject(Fault(on="close", when="after", what="drop"))
    good, stale = cancel(), cancel(not_after=in_seconds(-1))
    await sender.ask(good)
    await sender.ask(stale)
    doubtful = close()
    await sender.ask(doubtful)
    await poison(sender)
    assert await worker.terminate() == 0

    (start,) = lines(worker, "starting")
    assert start["commit"] == "abc1234"
    assert {"gmo_coin/main", "nami/main", "coinbase/main", "btcturk/main"} <= set(start["accounts"])
    assert {"version", "venues", "journal", "broker", "prefix", "http", "config"} <= start.keys()
    assert "guest:guest" not in worker.said()
    results = {line["command_id"]: line for line in lines(worker, "result")}
    assert {good["command_id"], stale["command_id"], doubtful["command_id"]} <= results.keys()
    line = results[good["command_id"]]
    said = (line["outcome"], line["venue"], line["account"], line["action"])
    assert said == ("accepted", "gmo_coin", "main", "cancel")
    assert (line["pod"], line["sender"], line["ms"] < 30_000) == ("pod-1", "", True)
    assert results[stale["command_id"]]["reason"] == "expired"
    (doubt,) = lines(worker, "in doubt")
    assert (doubt["command_id"], doubt["level"]) == (doubtful["command_id"], "warning")
    (dead,) = lines(worker, "dead letter")
    assert dead["level"] == "warning"
    (stop,) = lines(worker, "stopped")
    assert json.loads(worker.said().splitlines()[-1]) == stop
    assert (stop["received"], stop["accepted"] + stop["rejected"]) == (4, 4)
    assert alerts.types == {"order.alert"}
    assert not alerts.of("feed_down"), "an end is no trouble"


async def test_repeats_of_one_cause_are_folded(system: Stack, sender: Sender) -> None:
    """A disk that is full for a while, 64 commands that wait for it: what else is told can still be read."""
    worker = await system.worker()
    no_limit = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (FULL_BYTES, resource.RLIM_INFINITY))
    commands = [close(position_id=str(2_000_000 + number), not_after=in_seconds(15)) for number in range(64)]
    ids = [await sender.publish(command) for command in commands]
    for command_id in ids:
        first = (await sender.results(command_id, 1))[0]
        assert first["outcome"] in {"rejected", "in_doubt"}, "each hears at its deadline, though the log is full too"
    resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, no_limit)
    for command_id in ids:
        assert (await sender.final(command_id))["outcome"] == "rejected"
    await until(lambda: bool(lines(worker, "log lines were lost")))
    assert len(worker.said().splitlines()) - len(lines(worker, "result")) < 100, worker.said()


async def test_repeats_are_counted(system: Stack, sender: Sender) -> None:
    """The journal is locked by somebody else, and the log is not full: what is told, and what is only counted."""
    worker = await system.worker()
    path = system.journal_url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("begin immediate")
        for number in range(64):
            await sender.publish(close(position_id=str(2_000_000 + number), not_after=in_seconds(60)))
        await until(lambda: any("repeats" in line for line in lines(worker, "a command waits for the journal")))
        other.execute("rollback")
    assert len(lines(worker, "a command waits for the journal")) < 10
    assert len(worker.said().splitlines()) - len(lines(worker, "result")) < 100, worker.said()


async def test_alerts_come_within_a_second(system: Stack, sender: Sender, alerts: Alerts) -> None:
    """What an operator must know goes out at once: one for each code, venue and account."""
    venue = system.simulators.venues["gmo_coin"]
    for _ in range(3):
        await poison(sender)
    await until(lambda: bool(alerts.of("dead_letter")), 2)
    (dead,) = alerts.of("dead_letter")
    assert dead["severity"] == "ticket"
    await sender.publish(close(), reply_to="nobody.listens")
    await until(lambda: bool(alerts.of("result_diverted")), 5)
    venue.inject(Fault(on="cancel", what="error", code="ERR-5012", times=None))
    refused = cancel(not_after=in_seconds(2))
    await sender.ask(refused)
    await until(lambda: bool(alerts.of("auth_failed")), 2)
    (bad_key,) = alerts.of("auth_failed")
    assert (bad_key["venue"], bad_key["account"], bad_key["severity"]) == ("gmo_coin", "main", "page")
    assert refused["command_id"] in bad_key["command_ids"]
    assert bad_key["alert_id"] != dead["alert_id"]


async def _scraped(worker: WorkerProcess) -> tuple[str, set[str]]:
    """Return what a scrape gets, and the names of the contract's metrics that have a sample in it."""
    _, text = await worker.get("/metrics")
    names = {
        sample.name.removeprefix("order_router_")
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    return text, {name for name in CONTRACT if {name, f"{name}_count"} & names}


async def _exercise(system: Stack, sender: Sender) -> None:
    """Have everything happen that is counted: a doubt that stays, a result that another pod has claimed, …"""
    simulators = system.simulators.venues
    await sender.ask(close(position_id="1000343", size="1"))
    simulators["coinbase"].inject(Fault(on="close", when="after", what="error", code="INSUFFICIENT_FUND"))
    await sender.ask(
        {"type": "close", "command_id": "denied", "venue": "coinbase", "account": "main", "symbol": "BIT-28JUL23-CDE",
         "size": "3", "not_after": in_seconds(20)}
    )  # fmt: skip
    simulators["gmo_coin"].inject(Fault(on="cancel", what="throttle"))
    for number in range(5, 9):
        await sender.publish(cancel(order_id=str(number)), timestamp=datetime.datetime.now(datetime.UTC))
    await sender.ask(cancel())
    again = cancel(order_id="1")
    await sender.ask(again)
    await sender.publish(again)
    await sender.results(again["command_id"], 2)
    await poison(sender)
    await sender.publish(cancel(order_id="2"), reply_to="nobody.listens")
    with closing(sqlite3.connect(system.journal_url.removeprefix("sqlite:///"))) as another, another:
        another.execute(
            "update outbox set confirmed_us = null, next_us = next_us + 60000000 where command_id = ?",
            (again["command_id"],),
        )
    for stream in simulators.values():
        stream.inject(Fault(on="read", what="status", times=None))
    simulators["gmo_coin"].inject(Fault(on="close", when="after", what="drop"))
    await sender.results(await sender.publish(close()))


async def test_every_metric_has_a_sample(system: Stack, sender: Sender, tmp_path: Path) -> None:
    """After a run that exercises it, each of the contract's; and `promtool` finds nothing to object to."""
    first = await system.worker({"ORDER_ROUTER_CRASH": "after_delivery:kill"})
    await sender.publish(cancel(order_id="4"))
    await until(lambda: first.process.returncode is not None)
    system.change("venues.gmo_coin", limits={"post": "2/1s"})
    worker = await system.worker(command=("worker", "--feed"))
    await _exercise(system, sender)
    text = ""

    async def missing() -> Collection[str]:
        nonlocal text
        text, found = await _scraped(worker)
        return set(CONTRACT) - found - {"feed_reconnects_total", "feed_gaps_total"}

    async def complete() -> bool:
        return not await missing()

    try:
        await until(complete, 20)
    except TimeoutError:
        pytest.fail(f"no sample of {sorted(await missing())}")
    assert re.search(r'^order_router_build_info\{commit="[^"]*",version="[^"]+"\} 1\.0$', text, re.MULTILINE)
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
