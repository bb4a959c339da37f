"""BtcTurk's WebSocket in the simulator against the venue's documents."""

import time
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from router.simulator.market import Move
from router.simulator.seeds import OrderSeed
from router.simulator.venues.btcturk.account import KEY, KEY_TEXT
from router.simulator.venues.btcturk.feed import login_signature
from tests.integration.simulator.clients import BtcTurk
from tests.integration.simulator.listeners import btcturk_listener, btcturk_login, connect

pytestmark = pytest.mark.integration


def fields(frame: list[Any], *names: str) -> tuple[Any, ...]:
    """Return some fields of a message, whose type must stand before it and in it."""
    assert frame[0] == frame[1]["type"]
    return tuple(frame[1][name] for name in names)


@pytest.mark.parametrize(
    ("nonce", "expected"),
    [(3000, "iYk4/2+/ch72+Z8F5OtOrrnVziyPjHJwp/esgptxtFs="), (15000, "RTU1aFIe6y04xHA1CIuocVEKXyCA8b/iiKWZdeUBEP0=")],
)
def test_login_signatures_equal_independent_ones(nonce: int, expected: str) -> None:
    """Key and nonce are signed, keyed with the decoded secret."""
    assert login_signature(KEY, KEY_TEXT, nonce) == expected


async def test_the_server_speaks_first(btcturk: BtcTurk) -> None:
    """The greeting comes unasked, the result of the login with the user's id; then events need no subscription."""
    async with await connect(btcturk, "/ws") as listener:
        assert await listener.take(1) == [[991, {"type": 991, "current": "6.0.0", "min": "2.3.0"}]]
        await listener.say([151, {"type": 151, "channel": "trade", "event": "BTCTRY", "join": True}])
        await listener.say(btcturk_login(btcturk))
        assert await listener.take(1) == [[114, {"type": 114, "id": 18, "ok": True, "message": None}]]
        await btcturk.cancel(123456789)
        assert [frame[0] for frame in await listener.take(1)] == [452]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"nonce": 1700000000000}, "Unauthorized - Invalid Nonce"),
        ({"nonce": "3000"}, "Unauthorized - Invalid Nonce"),
        ({"timestamp": 1700000000000}, "Unauthorized - Invalid Nonce"),
        ({"signature": "AAAA"}, "Unauthorized - Invalid Signature"),
        ({"publicKey": KEY}, "Unauthorized - Invalid Public Key"),
    ],
)
async def test_a_bad_login_is_answered_and_hears_nothing(
    btcturk: BtcTurk, changes: dict[str, Any], message: str
) -> None:
    """A moment as nonce, an old timestamp, a wrong signature, the key of the REST interface: all `ok: false`."""
    async with await connect(btcturk, "/ws") as listener:
        await listener.say(btcturk_login(btcturk, **changes))
        result = (await listener.take(2))[1]
        assert fields(result, "ok", "message") == (False, message)
        btcturk.simulator.move(Move(do="cancel", order_id="123456789"))
        await listener.say(btcturk_login(btcturk))
        assert fields((await listener.take(1))[0], "ok") == (True,)
        await listener.say(btcturk_login(btcturk))
        assert fields((await listener.take(1))[0], "ok") == (False,)


async def test_an_order_is_inserted_traded_and_deleted(btcturk: BtcTurk) -> None:
    """451, then 441, 423 and 201 for a fill, then 452 with sixteen places; 451 and 452 have no time."""
    async with await btcturk_listener(btcturk) as listener:
        seed = OrderSeed(symbol="HNTUSDT", side="SELL", size=Decimal("174.84"), price=Decimal("5.7192"),
                         client_order_id="mine", order_id="26947521557")  # fmt: skip
        btcturk.simulator.add_orders(seed)
        btcturk.simulator.move(Move(do="fill", order_id="26947521557", size=Decimal("34.94")))
        btcturk.simulator.move(Move(do="cancel", order_id="26947521557"))
        inserted, match, trade, balance, deleted = await listener.take(5)
    assert inserted == [451, {
        "type": 451, "pairId": 317, "symbol": "HNTUSDT", "id": 26947521557, "method": 0, "userId": 18, "orderType": 1,
        "price": "5.7192", "amount": "174.84", "numLeft": "174.84", "denomLeft": "999.944928",
        "newOrderClientId": "mine",
    }]  # fmt: skip
    assert fields(match, "id", "isBid", "amount", "price", "clientId") == (
        26947521557,
        False,
        "34.94",
        "5.7192",
        "mine",
    )
    assert fields(trade, "orderId", "amount", "orderType", "orderClientId") == (26947521557, "-34.94", "sell", "mine")
    assert isinstance(trade[1]["timestamp"], int)
    assert balance[0] == 201
    assert fields(deleted, "price", "amount", "numLeft") == (
        "5.7192000000000000", "174.8400000000000000", "139.9000000000000000",
    )  # fmt: skip
    assert not {"timestamp", "time", "status"} & set(deleted[1])


async def test_what_is_left_is_that_of_the_queue(btcturk: BtcTurk) -> None:
    """A fill after the cancel was queued is not in the 452's `numLeft`, which overstates the rest."""
    btcturk.simulator.behave(cancel_delay_s=0.05)
    async with await btcturk_listener(btcturk) as listener:
        await btcturk.cancel(123456789)
        btcturk.simulator.move(Move(do="fill", order_id="123456789", size=Decimal("0.2")))
        frames = await listener.take(4)
    assert frames[-1][0] == 452
    assert Decimal(frames[-1][1]["numLeft"]) == Decimal("0.5")
    assert btcturk.simulator.truth()["123456789"].filled_size == "0.2"


@pytest.mark.parametrize("deleted", [False, True])
async def test_a_full_fill_may_delete_the_order(btcturk: BtcTurk, deleted: bool) -> None:
    """Whether a 452 follows a full fill is not known: a switch."""
    btcturk.simulator.behave(filled_is_deleted=deleted)
    async with await btcturk_listener(btcturk) as listener:
        btcturk.simulator.move(Move(do="fill", order_id="123456789"))
        btcturk.simulator.add_orders(OrderSeed(symbol="BTCTRY", size=Decimal(1)))
        await listener.until(lambda frames: [frame[0] for frame in frames][-1:] == [451])
    assert [frame[0] for frame in listener.frames] == [441, 423, 201, *([452] if deleted else []), 451]


async def test_a_stop_that_fires_goes_on_under_another_id(btcturk: BtcTurk) -> None:
    """The stop is deleted, and its sibling with the same client id inserted and traded."""
    seed = OrderSeed(symbol="BTCTRY", size=Decimal(1), kind="stop_market", stop_price=Decimal(9), status="waiting",
                     client_order_id="twin", price=Decimal(9))  # fmt: skip
    async with await btcturk_listener(btcturk) as listener:
        [stop] = btcturk.simulator.add_orders(seed)
        btcturk.simulator.move(Move(do="price", symbol="BTCTRY", price=Decimal("1200001")))
        _, deleted, inserted, match, *_ = await listener.take(6)
    assert fields(deleted, "type", "id") == (452, int(stop.order_id))
    assert fields(inserted, "type", "newOrderClientId", "method") == (451, "twin", 1)
    assert inserted[1]["id"] != int(stop.order_id)
    assert fields(match, "type", "id") == (441, inserted[1]["id"])


async def test_another_price_is_a_delete_and_an_insert(btcturk: BtcTurk) -> None:
    """There is no update message."""
    async with await btcturk_listener(btcturk) as listener:
        btcturk.simulator.move(Move(do="replace", order_id="123456789", price=Decimal(7)))
        assert [(frame[0], Decimal(frame[1]["price"])) for frame in await listener.take(2)] == [
            (452, Decimal(1200000)), (451, Decimal(7)),
        ]  # fmt: skip


async def test_who_does_not_log_in_is_dropped(btcturk: BtcTurk) -> None:
    """A connection without login ends after its time."""
    btcturk.simulator.behave(login_within_s=0.1)
    async with await connect(btcturk, "/ws") as listener:
        assert await listener.ended() == 1000


async def test_the_sixteenth_connection_of_a_minute_is_429(btcturk: BtcTurk) -> None:
    """Fifteen connections a minute and address; then the handshake is refused for a minute."""
    for _ in range(15):
        await (await connect(btcturk, "/ws")).close()
    began = time.monotonic()
    with pytest.raises(aiohttp.WSServerHandshakeError) as error:
        await connect(btcturk, "/ws")
    assert error.value.status == 429
    assert error.value.headers is not None
    assert 60 - (time.monotonic() - began) - 5 <= int(error.value.headers["Retry-After"]) <= 60
