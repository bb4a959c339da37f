"""What commands print, with values that never change: drawn on a terminal of any width, and in a pipe.

python -m tests.unit.cli.scenes            write screens/ anew; then look at the difference
python -m tests.unit.cli.scenes story      draw one
"""

import datetime
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from router.app.checks import Finding
from router.cli.check import show
from router.cli.demo import STEPS, Heard, Row, _show
from router.cli.formatting import event_line, result_line
from router.cli.output import lines
from router.cli.timeline import print_listing, print_refusals, print_timelines
from router.clock import to_time
from router.demo.observer import Exchanged
from router.journal import Entry, Timeline, Unreadable, Unstored
from router.records.command import CommandRecord
from schemas.commands import Cancel, Close
from schemas.events import OrderEvent
from schemas.results import OrderState, Reason, Result
from tests.unit.cli.terminal import plain, run_in_terminal

SCREENS: Final = Path(__file__).parent / "screens"
WIDTHS: Final = (80, 120)
T0_US: Final = 1_795_748_715_123_456
DEADLINE: Final = datetime.datetime(2026, 11, 27, 3, 30, tzinfo=datetime.UTC)
PODS: Final = ("order-router-worker-7d9f8b6c5-q2x4z", "order-router-worker-7d9f8b6c5-m8k1p")

CLOSE: Final = Close(
    command_id="3f0d3ad2-8c1e-4b58-9d0f-0a4a3f2f7a11", venue="gmo_coin", account="main", symbol="BTC_JPY",
    position_id="1000342", side="buy", size="3.44", not_after=DEADLINE,
)  # fmt: skip
CANCEL: Final = Cancel(command_id="cancel-17", venue="nami", account="desk", symbol="BTCUSDT", order_id="435372",
                       not_after=DEADLINE)  # fmt: skip
DOUBT: Final = CommandRecord(
    sender="alpha", command_id=CLOSE.command_id, command=CLOSE, client_order_id="c", received_us=T0_US,
    state="in_doubt", outcome="in_doubt", attempts=2, tries=2, code="timeout", message="no answer within 5 s",
    next_us=T0_US + 64_000_000, step="look",
)  # fmt: skip
DONE: Final = CommandRecord(
    sender="beta", command_id="cancel-17", command=CANCEL, client_order_id="d", received_us=T0_US + 900_000,
    state="final", outcome="rejected", attempts=1, tries=1, order_id="435372", code="too_late", venue_code="20033",
    order=OrderState(status="filled", size="0.07474", filled_size="0.07474"), message="ORDER_NOT_FOUND",
)  # fmt: skip


def _entry(after_ms: float, event: str, detail: str, pod: int | None = None, **more: int) -> Entry:
    name = "" if pod is None else PODS[pod]
    return Entry(at_us=T0_US + int(after_ms * 1000), event=event, detail=detail, pod=name, **more)


STORY: Final = Timeline(
    sender="alpha",
    command_id=CLOSE.command_id,
    record=DOUBT,
    entries=(
        _entry(0, "received", "answer to alpha.replies (correlation id desk-4)"),
        _entry(1, "attempt", "1 its process did not live to tell", 0),
        _entry(1903, "attempt", "2 closeOrder: no answer: it may have been executed: no answer within 5 s", 1,
               took_us=5_000_000),
        _entry(6904, "result", "1 in_doubt (timeout no answer within 5 s) not final, to alpha.replies, confirmed", 1,
               took_us=2_000),
        _entry(7404, "looked", "the venue shows nothing of it", 1, times=12, last_us=T0_US + 61_000_000),
        _entry(8000, "event", "41 working, by stream, to alpha.replies"),
        _entry(64000, "due", "look"),
    ),
)  # fmt: skip
RESULT: Final = Result(
    result_id="r", seq=1, final=True, command_id="c", action="close", venue="gmo_coin", account="main",
    outcome="rejected", order_id="637000", received_at=DEADLINE, completed_at=DEADLINE,
    reason=Reason(code="insufficient_position", venue_code="ERR-422", message="there is no open position of that size"),
    order=OrderState(status="canceled", size="3.44", filled_size="1.2"),
)  # fmt: skip
EVENT: Final = OrderEvent(
    event_id="e", venue="coinbase", account="main", seq=3, order_id="3537be11-83f7-466b-8417-c98976095e1b",
    symbol="BIT-28JUL23-CDE", side="buy", order_type="market", status="canceled", size="3", filled_size="1",
    received_at=DEADLINE, source="stream", cancel_reason="User requested cancel",
)  # fmt: skip


def _listing() -> None:
    print_listing(
        [DOUBT, DONE, Unreadable(sender="alpha", command_id="of-tomorrow", venue="gmo_coin", state="open")], json=False
    )


def _story() -> None:
    print_timelines([STORY], json=False)


def _refusals() -> None:
    row = Unstored(
        at_us=T0_US, sender="mallory", command_id="close-1", code="unauthorized_sender", reply_to="mallory.replies",
        message="sender: mallory may not command gmo_coin/main", correlation_id="close-1", pod=PODS[0],
        routing_key="gmo_coin.main.close",
    )  # fmt: skip
    print_refusals([row], json=False)


def _sent() -> None:
    lines(event_line(EVENT), result_line(RESULT))


def _demo() -> None:
    headers = ("API-KEY", "API-TIMESTAMP", "API-SIGN")
    answered = Exchanged(
        method="POST", path="/private/v1/closeOrder", headers=headers, status=200, code="status 0", ms=0.3
    )
    _show([Row(STEPS[0], 6.8, (answered,), RESULT, (Heard(EVENT, 21),))], json=False)


def _check() -> None:
    show(Finding("configuration", "ok", "/etc/order-router/order-router.toml"))
    show(Finding("broker", "failed", "cannot connect to amqps://router:…@rabbitmq.trading.svc:5671/: the server's "
                 "certificate is not valid for rabbitmq.trading.svc"))  # fmt: skip
    show(Finding("account coinbase/main", "warning", "the file /run/secrets/coinbase_main can be read by others"))


SCENES: Final[Mapping[str, Callable[[], None]]] = {
    "listing": _listing,
    "story": _story,
    "refusals": _refusals,
    "sent": _sent,
    "demo": _demo,
    "check": _check,
}


def screen(scene: str, width: int) -> str:
    """Return what a terminal of that width shows of a scene, its escapes included."""
    return run_in_terminal([sys.executable, "-m", "tests.unit.cli.scenes", scene], width)


def main() -> None:
    """Draw one scene, or write all screens."""
    assert to_time(T0_US).year == 2026
    if len(sys.argv) > 1:
        SCENES[sys.argv[1]]()
        return
    for scene in SCENES:
        for width in WIDTHS:
            (SCREENS / f"{scene}.{width}.txt").write_text(plain(screen(scene, width)))


if __name__ == "__main__":
    main()
