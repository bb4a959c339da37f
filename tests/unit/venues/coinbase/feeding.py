"""Coinbase: canned frames and reads of a feed."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from router.venue_protocol import Secrets, Stamp
from router.venue_protocol.stream import Change, Changes, Ready, Want
from router.venues.coinbase import Coinbase, CoinbaseOptions, CoinbaseStream

FIXTURES = Path(__file__).parents[3] / "fixtures" / "coinbase"

COINBASE = Coinbase(CoinbaseOptions())

SYMBOL = "BIT-28JUL23-CDE"


def documented(name: str) -> dict[str, Any]:
    known: dict[str, Any] = json.loads((FIXTURES / f"stream_{name}.json").read_bytes())
    found: dict[str, Any] = known.get("frame") or known["body"]
    return found


def order(order_id: str = "A-1", status: str = "OPEN", **fields: Any) -> dict[str, Any]:
    return {
        "order_id": order_id,
        "client_order_id": "ours",
        "product_id": SYMBOL,
        "order_side": "SELL",
        "order_type": "Limit",
        "time_in_force": "GOOD_UNTIL_CANCELLED",
        "status": status,
        "cumulative_quantity": "0",
        "leaves_quantity": "0",
        "avg_price": "0",
        "number_of_fills": "0",
        "total_fees": "0",
        "limit_price": "31000",
        **fields,
    }


WORDS = [
    "user",
    "heartbeats",
    "subscriptions",
    "snapshot",
    "update",
    "error",
    "A-1",
    "OPEN",
    "FILLED",
    "1",
    "-1",
    "1e5",
]

KEYS = [
    "channel",
    "type",
    "events",
    "orders",
    "sequence_num",
    "timestamp",
    "subscriptions",
    "user",
    "message",
    *order(),
]

documents = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.sampled_from(WORDS)
    | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=8),
    max_leaves=25,
)


def row(order_id: str = "A-1", status: str = "OPEN", **fields: Any) -> dict[str, Any]:
    return {**documented("order")["order"], "order_id": order_id, "status": status, **fields}


NONCE = "000102030405060708090a0b0c0d0e0f"


NOW_MS = 1_700_000_005_000


SECRETS = Secrets(
    api_key="organizations/00000000-0000-0000-0000-000000000001/apiKeys/00000000-0000-0000-0000-000000000002",
    api_secret="nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2DXWpgBgrEKt9VL/tPJZAc6DuFy89qmIyWvAhpo9wdRGg==",
)


def stamp(after_ms: int = 0) -> Stamp:
    return Stamp(NOW_MS + after_ms, NONCE)


class Server:
    """The other end of the wire: numbers its messages."""

    def __init__(self) -> None:
        self.next = 0

    def message(self, channel: str, *events: Any, **fields: Any) -> str:
        envelope = {
            "channel": channel,
            "timestamp": "2023-11-14T22:13:26.5Z",
            "sequence_num": self.next,
            "events": events,
        }
        self.next += 1
        return json.dumps({**envelope, **fields})

    def orders(self, *rows: Any, kind: str = "update") -> str:
        return self.message("user", {"type": kind, "orders": rows})

    def beat(self) -> str:
        return self.message("heartbeats", {"current_time": "…", "heartbeat_counter": self.next})


def opened() -> CoinbaseStream:
    stream = COINBASE.stream(SECRETS)
    stream.begin(stamp())
    stream.opened(stamp())
    return stream


def live(*rows: Any) -> tuple[CoinbaseStream, Server]:
    """Return a stream and its server after a snapshot of these orders."""
    stream, server = opened(), Server()
    assert Ready() in stream.heard(server.orders(*rows, kind="snapshot"), stamp())
    return stream, server


def changes(wants: Sequence[Want]) -> list[Change]:
    return [change for want in wants if isinstance(want, Changes) for change in want.changes]


rows_of_any_kind = st.fixed_dictionaries({}, optional=dict.fromkeys(order(), documents)) | documents


envelopes = st.fixed_dictionaries(
    {"channel": st.just("user") | documents},
    optional={
        "sequence_num": st.integers(0, 3) | documents,
        "timestamp": documents,
        "events": st.lists(st.fixed_dictionaries({"orders": st.lists(rows_of_any_kind, max_size=4)}), max_size=3),
    },
)


frames = st.binary(max_size=40) | st.text(max_size=40) | (envelopes | documents).map(json.dumps)
