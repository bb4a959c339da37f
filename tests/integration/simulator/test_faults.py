"""Every scripted fault does what it says, on a real socket."""

import asyncio
import time
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import pytest

from router.simulator import Simulators
from router.simulator.faults import Fault
from router.simulator.market import Move
from tests.integration.simulator.clients import BtcTurk, Coinbase, Gmo, Nami
from tests.integration.simulator.conftest import until

pytestmark = pytest.mark.integration

ACTED = {"before": 0, "after": 1}


def executions(gmo: Gmo) -> int:
    """Return how many closes the venue executed."""
    return gmo.simulator.ledger.count("execution", position_id="1000342")


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    ("what", "error"),
    [
        ("drop", (ConnectionResetError, aiohttp.ClientOSError)),
        ("close", aiohttp.ServerDisconnectedError),
        ("truncate", aiohttp.ClientPayloadError),
        ("reset_after_headers", (ConnectionResetError, aiohttp.ClientError)),
    ],
)
async def test_a_broken_connection_hides_what_was_done(gmo: Gmo, when: Any, what: Any, error: Any) -> None:
    """The client cannot tell whether the venue acted; the ledger can, and the next request is answered."""
    armed = gmo.simulator.inject(Fault(on="close", when=when, what=what))
    with pytest.raises(error):
        await gmo.close()
    assert armed.struck == 1
    assert executions(gmo) == ACTED[when]
    assert gmo.simulator.ledger.count("request", endpoint="close_order") == 1
    assert (await gmo.close()).json["status"] == 0


async def test_a_drop_is_a_reset(gmo: Gmo, simulators: Simulators) -> None:
    """`drop` ends the connection with RST, so a bare socket sees ECONNRESET and no byte of an answer."""
    gmo.simulator.inject(Fault(what="drop"))
    host, port = simulators.root("gmo_coin").removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /public/v1/status HTTP/1.1\r\nHost: x\r\n\r\n")
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()


async def test_the_head_arrives_before_the_reset(gmo: Gmo, simulators: Simulators) -> None:
    """`reset_after_headers` sends a whole head and no body."""
    gmo.simulator.inject(Fault(what="reset_after_headers"))
    host, port = simulators.root("gmo_coin").removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /public/v1/status HTTP/1.1\r\nHost: x\r\n\r\n")
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_a_gateway_answers_with_html(gmo: Gmo, when: Any, status: int) -> None:
    """5xx pages come from a gateway, executed or not."""
    gmo.simulator.inject(Fault(on="close_order", when=when, what="status", status=status))
    reply = await gmo.close()
    assert (reply.status, reply.headers["Content-Type"].split(";")[0]) == (status, "text/html")
    assert executions(gmo) == ACTED[when]


@pytest.mark.parametrize(
    ("variant", "content_type", "starts"),
    [
        ("html", "text/html", b"<!DOCTYPE"),
        ("truncated", "application/json", b'{"status":0,"data":"6370'),
        ("content_type", "text/html", b'{"status":0,"data":"6370'),
        ("empty", "application/json", b""),
        ("not_utf8", "application/json", b'{"status":0,"data":"\xff'),
        ("deep", "application/json", b"[[[[["),
    ],
)
async def test_a_malformed_answer_is_a_200(gmo: Gmo, variant: Any, content_type: str, starts: bytes) -> None:
    """The body is broken in one way, and the close was executed."""
    gmo.simulator.inject(Fault(on="close", when="after", what="malformed", body=variant))
    reply = await gmo.close()
    assert (reply.status, reply.headers["Content-Type"].split(";")[0]) == (200, content_type)
    assert reply.body.startswith(starts)
    assert executions(gmo) == 1
    if variant == "truncated":
        with pytest.raises(ValueError, match="delimiter"):
            assert reply.json


async def test_a_gzip_bomb_is_small_on_the_wire(gmo: Gmo, simulators: Simulators) -> None:
    """The bomb unpacks to a thousand times what is sent."""
    gmo.simulator.inject(Fault(what="malformed", body="gzip_bomb"))
    url = simulators.root("gmo_coin") + "/public/v1/status"
    async with aiohttp.ClientSession(auto_decompress=False) as session, session.get(url) as response:
        assert response.headers["Content-Encoding"] == "gzip"
        assert len(await response.read()) < 100_000


async def test_a_delay_after_execution_outlasts_the_client(gmo: Gmo) -> None:
    """A client that gives up does not undo what the venue did."""
    gmo.simulator.inject(Fault(on="close", when="after", delay_s=60))
    closing = asyncio.create_task(gmo.close())
    await gmo.simulator.ledger.wait("execution", position_id="1000342")
    assert not closing.done()
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert executions(gmo) == 1


async def test_a_delay_before_execution_still_executes(gmo: Gmo) -> None:
    """A request that was held back is executed when it gets through, though nobody waits for it."""
    gmo.simulator.inject(Fault(on="close", delay_s=0.4))
    closing = asyncio.create_task(gmo.close())
    await gmo.simulator.ledger.wait("fault")
    assert executions(gmo) == 0
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    await gmo.simulator.ledger.wait("execution", position_id="1000342")


async def test_a_request_held_back_too_long_is_stale(gmo: Gmo) -> None:
    """The timestamp is checked when the request gets through, not when it arrived."""
    gmo.simulator.behave(timestamp_window_s=0.05)
    gmo.simulator.inject(Fault(on="close", delay_s=0.1))
    assert (await gmo.close()).json["messages"][0]["message_code"] == "ERR-5009"


async def test_a_hanging_request_ends_with_the_server(gmo: Gmo, simulators: Simulators) -> None:
    """`hang` never answers; stopping the simulators lets go of it."""
    gmo.simulator.inject(Fault(on="close", when="after", what="hang"))
    closing = asyncio.create_task(gmo.close())
    await gmo.simulator.ledger.wait("execution")
    assert not closing.done()
    await simulators.stop()
    with pytest.raises(aiohttp.ClientError):
        await closing


@pytest.mark.parametrize(("form", "seconds"), [("seconds", 3), ("date", 3)])
async def test_a_throttle_may_say_when(btcturk: BtcTurk, form: Any, seconds: int) -> None:
    """The venue's own throttle, with Retry-After in seconds or as a date on the simulator's clock."""
    btcturk.simulator.clock_offset_ms = 1000
    btcturk.simulator.inject(Fault(on="cancel", what="throttle", retry_after_s=seconds, retry_after_form=form))
    reply = await btcturk.cancel(123456789)
    assert (reply.status, reply.json["code"]) == (429, 429)
    said = reply.headers["Retry-After"]
    if form == "seconds":
        assert said == "3"
    else:
        wait = parsedate_to_datetime(said) - parsedate_to_datetime(reply.headers["Date"])
        assert wait.total_seconds() == seconds
    assert btcturk.simulator.ledger.count("cancel") == 0


async def test_every_venue_has_its_own_words(gmo: Gmo, coinbase: Coinbase, nami: Nami) -> None:
    """Throttle, maintenance and error come in the venue's own envelope."""
    for client in (gmo, coinbase, nami):
        for what in ("throttle", "maintenance"):
            client.simulator.inject(Fault(what=what))
    assert [(await gmo.close()).json["messages"][0]["message_code"] for _ in range(2)] == ["ERR-5003", "ERR-5201"]
    assert [(await coinbase.close()).status for _ in range(2)] == [429, 503]
    assert [(await nami.cancel()).json["statusCode"] for _ in range(2)] == [429, 503]


@pytest.mark.parametrize("when", ["before", "after"])
async def test_an_error_code_may_come_before_or_after(gmo: Gmo, when: Any) -> None:
    """`error` says the code in the venue's envelope, executed or not."""
    gmo.simulator.inject(Fault(on="close", when=when, what="error", code="ERR-626"))
    assert (await gmo.close()).json["messages"][0]["message_code"] == "ERR-626"
    assert executions(gmo) == ACTED[when]


async def test_error_codes_in_coinbases_three_envelopes(coinbase: Coinbase) -> None:
    """A close is rejected, a cancel has a failed row, a read and a gateway's code are HTTP errors."""
    for on, code in (("close", "TRADING_DISABLED"), ("cancel", "NOT_ALLOWED_TO_CANCEL"), ("read", "NOT_FOUND")):
        coinbase.simulator.inject(Fault(on=on, what="error", code=code))
    rejected = (await coinbase.close()).json
    assert rejected["error_response"]["new_order_failure_reason"] == "TRADING_DISABLED"
    assert (await coinbase.cancel("11111-00000-000000"))[0]["failure_reason"] == "NOT_ALLOWED_TO_CANCEL"
    assert (await coinbase.call("GET", "/orders/historical/11111-00000-000000")).status == 404


async def test_stale_reads_do_not_see_the_close(gmo: Gmo) -> None:
    """Reads answer from the moment the fault was added, as often as it says; acting is not affected."""
    gmo.simulator.inject(Fault(what="stale", times=2))
    await gmo.close()
    read = "/v1/latestExecutions"
    seen = [(await gmo.call("GET", read, query="?symbol=BTC_JPY")).json["data"] for _ in range(3)]
    assert seen[:2] == [{}, {}]
    assert len(seen[2]["list"]) == 1


async def test_a_new_order_can_be_invisible_for_a_while(coinbase: Coinbase) -> None:
    """`hide_s` keeps the order out of reads, even when the answer was lost."""
    coinbase.simulator.behave(rate_limits=False)
    coinbase.simulator.inject(Fault(on="close", when="after", what="drop", hide_s=0.5))
    with pytest.raises(aiohttp.ClientError):
        await coinbase.close()

    async def seen() -> object:
        orders = (await coinbase.call("GET", "/orders/historical/batch", query="?order_status=FILLED")).json["orders"]
        return len(orders)

    assert await seen() == 0
    await until(seen, 1)


async def test_what_is_hidden_can_be_revealed(gmo: Gmo) -> None:
    """`reveal` ends every hiding at once."""
    gmo.simulator.inject(Fault(on="close", hide_s=600))
    order_id = (await gmo.close()).json["data"]
    assert (await gmo.call("GET", "/v1/orders", query=f"?orderId={order_id}")).json["data"] == {}
    gmo.simulator.move(Move(do="reveal"))
    assert (await gmo.order(order_id))["status"] == "EXECUTED"


async def test_a_partial_fill_leaves_the_rest(gmo: Gmo, coinbase: Coinbase) -> None:
    """`fill` trades a part: a FAK expires with what it has, an IOC is cancelled, a LIMIT goes on."""
    for client in (gmo, coinbase):
        client.simulator.inject(Fault(on="close", fill=Decimal("0.5"), times=2))
    row = await gmo.order((await gmo.close(size="3.44")).json["data"])
    assert (row["status"], row["cancelType"], row["executedSize"]) == ("EXPIRED", "EXPIRED_FAK", "1.72")
    limit = {"executionType": "LIMIT", "price": "85201"}
    row = await gmo.order((await gmo.close(size="3.44", **limit)).json["data"])
    assert (row["status"], row["executedSize"]) == ("ORDERED", "1.72")
    order = await coinbase.order((await coinbase.close(size="3")).json["success_response"]["order_id"])
    assert (order["status"], order["filled_size"]) == ("CANCELLED", "1")


async def test_skip_times_and_account_choose_the_requests(gmo: Gmo) -> None:
    """The first `skip` pass, then `times` are hit; another account's requests are not."""
    gmo.simulator.inject(Fault(on="cancel", what="status", skip=1, times=2))
    gmo.simulator.inject(Fault(on="cancel", what="status", status=504, times=None, account="nobody"))
    assert [(await gmo.cancel(1)).status for _ in range(4)] == [200, 502, 502, 200]


async def test_a_fault_without_end_lasts_until_it_is_cleared(gmo: Gmo) -> None:
    """`times: null` strikes for ever; clearing the queue stops it."""
    armed = gmo.simulator.inject(Fault(what="status", status=503, times=None))
    assert {(await gmo.cancel(1)).status for _ in range(3)} == {503}
    gmo.simulator.faults.clear()
    assert (await gmo.cancel(1)).status == 200
    assert armed.struck == 3
    assert gmo.simulator.ledger.count("fault") == 3


async def test_a_faults_time_is_short(gmo: Gmo) -> None:
    """A delay delays once and by about what it says."""
    gmo.simulator.inject(Fault(on="read", delay_s=0.05))
    begun = time.monotonic()
    await gmo.order(637000)
    assert time.monotonic() - begun >= 0.05
