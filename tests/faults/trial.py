"""One trial of one fault: accounts, a prefix and a journal of its own, and the oracle that judges how it ended.

The simulators are shared, so that many trials can run at once; what one does shows in the ledgers under its own
account only. The oracle believes the ledgers, never the router.
"""

import asyncio
import datetime
import itertools
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import aio_pika
from aio_pika.abc import AbstractIncomingMessage
from aio_pika.exceptions import AMQPError

from router.simulator import Simulators
from router.simulator.faults import Fault
from router.simulator.ledger import Entry, EntryKind
from router.simulator.seeds import OrderSeed, PositionSeed
from router.simulator.venues.coinbase.keys import ES256_KEY, KEY_NAME
from tests import sender as wire
from tests.sender import Sender
from tests.stack import Stack

POSITION: Final = {"gmo_coin": "1000342", "coinbase": "BIT-28JUL23-CDE"}
ORDER: Final = {
    "gmo_coin": OrderSeed(order_id="637000", symbol="BTC_JPY", size=Decimal("0.8"), price=Decimal(876045)),
    "coinbase": OrderSeed(order_id="11111-00000", symbol="BIT-28JUL23-CDE", size=Decimal(3), price=Decimal(31000)),
    "btcturk": OrderSeed(order_id="123456789", symbol="BTCTRY", size=Decimal("0.5"), price=Decimal(1200000)),
    "nami": OrderSeed(order_id="435372", symbol="BTCUSDT", size=Decimal("0.07474"), price=Decimal("62877.99")),
}
CLOSES: Final = frozenset({"close_order", "close_position"})
CANCELS: Final = frozenset({"cancel_order", "batch_cancel", "delete_order"})

TIMEOUT_S: Final = 0.6
WINDOW_S: Final = 0.2
HEARTBEAT_S: Final = 2
TRIES: Final = 10
"""Attempts allowed when every one of them is harmless or proven not to have been processed."""
LATE_MS: Final = 300
"""From the last reading of the router's clock to the ledger's: the way over loopback on a busy machine."""

_numbers = itertools.count(1)
_positions = itertools.count(2_000_001)


class Trial(Stack):
    """A stack whose commands all go to accounts of its own, at `venues`."""

    sender: Sender

    def __init__(
        self, directory: Path, broker_url: str, simulators: Simulators, journal_url: str, venues: Sequence[str]
    ) -> None:
        super().__init__(directory, broker_url, simulators, journal_url)
        self.account = f"trial{next(_numbers)}"
        self.commands: dict[str, dict[str, Any]] = {}
        self.venues = venues
        self._since = dict.fromkeys(venues, 0)
        for venue in venues:
            self._open_account(venue)
        self.config["accounts"] = {
            venue: {self.account: simulators.venues[venue].secrets(simulators.venues[venue].accounts[self.account])}
            for venue in venues
        }
        self.config["venues"] = {venue: self.config["venues"][venue] for venue in venues}
        for venue in venues:
            self.wait_for(venue, TIMEOUT_S)
        self.change("broker", heartbeat_s=HEARTBEAT_S)

    def wait_for(self, venue: str, timeout_s: float) -> None:
        """Let workers wait for a venue's answer as long as this. The quarantine is as short as it may be."""
        self.change(
            f"venues.{venue}", timeout_s=timeout_s, timestamp_window_s=WINDOW_S, quarantine_s=timeout_s + WINDOW_S
        )

    def _open_account(self, venue: str) -> None:
        simulator = self.simulators.venues[venue]
        key, secret = f"{self.account}-{venue}", simulator.accounts["main"].api_secret
        if venue == "coinbase":
            key, secret = KEY_NAME + self.account, ES256_KEY
        simulator.add_account(self.account, api_key=key, api_secret=secret)
        self.add_order(venue)
        if venue in POSITION:
            self.add_position(POSITION[venue], venue)

    def add_order(self, venue: str, order_id: str = "") -> None:
        """Rest the venue's order on the book, under its own id or another."""
        fields = {name: getattr(ORDER[venue], name) for name in ("symbol", "size", "price")}
        order_id = order_id or ORDER[venue].order_id
        seed = OrderSeed(order_id=order_id, account=self.account, time_in_force="FAS", **fields)
        self.simulators.venues[venue].add_orders(seed)

    def add_position(self, position_id: str, venue: str = "gmo_coin") -> None:
        """Open a position that a close may close once, whole or in parts."""
        coinbase = venue == "coinbase"
        self.simulators.venues[venue].add_positions(
            PositionSeed(
                position_id="" if coinbase else position_id,
                symbol=ORDER[venue].symbol,
                side="BUY" if coinbase else "SELL",
                size=Decimal(9) if coinbase else Decimal("10.32"),
                price=Decimal(29300) if coinbase else Decimal(876045),
                account=self.account,
            )
        )

    def close(self, venue: str = "gmo_coin", **fields: Any) -> dict[str, Any]:
        """Return a close of this trial's account."""
        if venue == "gmo_coin":
            return wire.close(account=self.account, **fields)
        fields = {"symbol": POSITION[venue], "size": "3", **fields}
        kept = {"type", "command_id", "not_after"}
        command = {name: value for name, value in wire.close().items() if name in kept}
        return {**command, "venue": venue, "account": self.account, **fields}

    def cancel(self, venue: str = "gmo_coin", **fields: Any) -> dict[str, Any]:
        """Return a cancel of this trial's resting order."""
        seed = ORDER[venue]
        return wire.cancel(
            **{"venue": venue, "account": self.account, "order_id": seed.order_id, "symbol": seed.symbol, **fields}
        )

    def fresh_close(self, **fields: Any) -> dict[str, Any]:
        """Return a close of a GMO Coin position that nothing else touches."""
        position_id = str(next(_positions))
        self.add_position(position_id)
        return self.close(position_id=position_id, **fields)

    def fresh_cancel(self, venue: str = "gmo_coin", **fields: Any) -> dict[str, Any]:
        """Return a cancel of an order that nothing else touches."""
        order_id = str(next(_positions))
        self.add_order(venue, order_id)
        return self.cancel(venue, order_id=order_id, **fields)

    def renew(self) -> None:
        """Begin another test in the same trial: what was judged is not judged again."""
        self.commands.clear()
        self._since = {venue: len(self.simulators.venues[venue].ledger.entries) for venue in self.venues}
        for venue in self.venues:
            armed = self.simulators.venues[venue].faults.armed
            armed[:] = [each for each in armed if each.fault.account != self.account]

    def venue_port(self, venue: str) -> int:
        """Return the port of a venue's simulator."""
        return int(self.simulators.root(venue).rpartition(":")[2])

    async def publish(self, command: dict[str, Any], **properties: Any) -> str:
        """Publish a command that the oracle will ask about."""
        self.commands[command["command_id"]] = command
        return await self.sender.publish(command, **properties)

    async def ask(self, command: dict[str, Any], timeout_s: float = 40.0) -> dict[str, Any]:
        """Publish a command and return its final result."""
        return await self.sender.final(await self.publish(command), timeout_s)

    async def fetch(self, queue: str, timeout_s: float = 60.0) -> dict[str, Any]:
        """Wait for a message in one of the prefix's own queues, take it out and return its body."""
        return dict(json.loads((await self.take(queue, timeout_s)).body))

    async def take(self, queue: str, timeout_s: float = 60.0) -> AbstractIncomingMessage:
        """Wait for a message in one of the prefix's own queues and take it out."""
        found = await self.sender.channel.get_queue(f"{self.prefix}.{queue}", ensure=False)
        async with asyncio.timeout(timeout_s):
            while (message := await found.get(no_ack=True, fail=False, timeout=timeout_s)) is None:
                await asyncio.sleep(0.02)
        return message

    def inject(self, venue: str = "gmo_coin", **fault: Any) -> None:
        """Script a fault for this trial's account."""
        self.simulators.venues[venue].inject(Fault(account=self.account, **fault))

    def release(self, venue: str = "gmo_coin") -> None:
        """Let the answers go that a fault holds."""
        self.simulators.venues[venue].faults.release()

    def ledger(self, kind: EntryKind | None = None, venue: str = "gmo_coin", **match: str) -> list[Entry]:
        """Return what the venue recorded of this trial's account."""
        entries = self.simulators.venues[venue].ledger.select(kind, account=self.account, **match)
        return [entry for entry in entries if entry.seq > self._since[venue]]

    def sends(self, venue: str = "gmo_coin") -> list[Entry]:
        """Return the requests that act which reached the venue."""
        return [entry for entry in self.ledger("request", venue) if entry.endpoint in CLOSES | CANCELS]

    async def finals(self, timeout_s: float = 40.0) -> list[dict[str, Any]]:
        """Wait until every command has its final result, and return those."""
        return [await self.sender.final(command_id, timeout_s) for command_id in self.commands]

    async def judge(self, *, close_sends: int = 1, ahead_ms: int = 0) -> None:
        """Hold the outcome against the promises.

        `close_sends` is how often one close may reach the venue, `ahead_ms` how far the venue's clock was ahead.
        """
        for result in await self.finals():
            self._judge_results(result["command_id"])
        for venue in self.venues:
            self._judge_closes(venue, close_sends)
            self._judge_cancels(venue)
            self._judge_deadlines(venue, ahead_ms)

    def _judge_results(self, command_id: str) -> None:
        """Exactly one final result; a repeat is the same but for `duplicate`; the order of `seq` is kept."""
        results = [result for result in self.sender.results_of(command_id) if result.get("recorded", True)]
        assert len({result["result_id"] for result in results if result["final"]}) <= 1, results
        told: dict[str, dict[str, Any]] = {}
        for result in results:
            content = {name: value for name, value in result.items() if name != "duplicate"}
            assert told.setdefault(result["result_id"], content) == content
        firsts = [told[result_id]["seq"] for result_id in told]
        assert firsts == sorted(firsts), results

    def _final(self, command_id: str) -> dict[str, Any]:
        return next(result for result in self.sender.results_of(command_id) if result["final"])

    def _judge_closes(self, venue: str, close_sends: int) -> None:
        closes = [c for c in self.commands.values() if c["venue"] == venue and c["type"] == "close"]
        by_position: dict[str, list[str]] = {}
        for command in closes:
            position = command.get("position_id") or command["symbol"]
            by_position.setdefault(position, []).append(self._final(command["command_id"])["outcome"])
        for position, outcomes in by_position.items():
            executed = len(self.ledger("execution", venue, position_id=position))
            # One execution for every `accepted` and none for a `rejected`; a close in doubt may be either.
            assert outcomes.count("accepted") <= executed <= len(outcomes) - outcomes.count("rejected"), outcomes
        sent = [entry for entry in self.sends(venue) if entry.endpoint in CLOSES]
        assert len(sent) <= close_sends * len(closes)

    def _judge_cancels(self, venue: str) -> None:
        cancels = [c for c in self.commands.values() if c["venue"] == venue and c["type"] == "cancel"]
        for command in cancels:
            canceled = self.ledger("cancel", venue, order_id=command.get("order_id", ""))
            assert len(canceled) <= 1
            if canceled:
                assert self._final(command["command_id"])["outcome"] in {"accepted", "done"}
        sent = [entry for entry in self.sends(venue) if entry.endpoint in CANCELS]
        assert len(sent) <= TRIES * len(cancels)

    def _judge_deadlines(self, venue: str, ahead_ms: int) -> None:
        for endpoints, kind in ((CLOSES, "close"), (CANCELS, "cancel")):
            deadlines = [
                ms(c["not_after"]) for c in self.commands.values() if c["venue"] == venue and c["type"] == kind
            ]
            for entry in self.sends(venue):
                if entry.endpoint in endpoints:
                    assert entry.at_ms - ahead_ms <= max(deadlines) + LATE_MS


def ms(when: str) -> int:
    """Return a time of the wire as milliseconds since 1970."""
    return int(datetime.datetime.fromisoformat(when).timestamp() * 1000)


@asynccontextmanager
async def trial(
    directory: Path,
    broker_url: str,
    simulators: Simulators,
    *,
    venues: Sequence[str] = ("gmo_coin",),
    journal_url: str = "",
) -> AsyncIterator[Trial]:
    """Set a trial up; afterwards end its workers and remove its queues."""
    url = journal_url or f"sqlite:///{directory / 'journal.db'}"
    made = Trial(directory, broker_url, simulators, url, venues)
    try:
        async with Sender(broker_url, made.prefix, durable=True) as made.sender:
            yield made
    finally:
        await made.stop()
        await _remove(broker_url, made.prefix, venues)


async def _remove(broker_url: str, prefix: str, venues: Sequence[str]) -> None:
    lanes = [f"{prefix}.commands.{venue}.{lane}" for venue in venues for lane in ("close", "cancel")]
    try:
        async with await aio_pika.connect(broker_url) as connection:
            channel = await connection.channel()
            for queue in (
                *lanes,
                f"{prefix}.commands.unrouted",
                f"{prefix}.results",
                f"{prefix}.dead",
                f"{prefix}.journal",
                f"{prefix}.alerts",
            ):
                await channel.queue_delete(queue)
            for exchange in ("commands", "unrouted", "results", "events", "dead", "alerts"):
                await channel.exchange_delete(f"{prefix}.{exchange}")
    except (AMQPError, OSError):
        pass  # the node of the session goes with the session
