"""Numbers that tell processes apart, on both back ends."""

import asyncio
import time

import pytest

from router.access.configured import SHARED_SLOT, SLOTS, Account
from router.access.slots import Slots
from router.clock import SystemClock
from router.journal.operations import slots
from router.venue_protocol import Request, SignedRequest, Stamp
from tests.integration.journal.conftest import Open

pytestmark = pytest.mark.integration

HOLD_US = 60_000_000


async def test_no_two_processes_have_one_number(open_place: Open) -> None:
    """Whoever asks at the same moment; and who asks again keeps his own."""
    journals = [await open_place() for _ in range(3)]
    names = [f"process {number}" for number in range(12)]
    for _ in range(2):
        asked = (journals[number % 3].take_slot(name, 12, HOLD_US) for number, name in enumerate(names))
        given = await asyncio.gather(*asked)
        assert sorted(number for number in given if number is not None) == list(range(12))
    assert await journals[0].take_slot("one more", 12, HOLD_US) is None


async def test_a_number_that_is_let_go_or_runs_out_goes_to_another(
    open_place: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lowest one that is free; one that was let go rests for some seconds first."""
    journal = await open_place()
    assert [await journal.take_slot(name, 3, HOLD_US) for name in "abc"] == [0, 1, 2]
    await journal.release_slot("b")
    assert await journal.take_slot("d", 3, HOLD_US) is None
    assert await journal.take_slot("b", 3, HOLD_US) is None, "its own no more either"
    monkeypatch.setattr(slots, "REST_US", 0)
    await journal.release_slot("c")
    assert await journal.take_slot("d", 3, HOLD_US) == 2
    assert await journal.take_slot("a", 3, 1) == 0
    await asyncio.sleep(0.01)
    assert await journal.take_slot("e", 3, HOLD_US) == 0
    assert await journal.take_slot("a", 3, HOLD_US) is None


async def test_processes_that_share_an_account_make_no_stamp_twice(open_place: Open) -> None:
    """As many at a time as they can, from the same clock."""
    clock = SystemClock()
    processes = [Slots(await open_place(), clock) for _ in range(4)]
    for process in processes:
        await process.take()
    accounts = [Account("main", _sign, lambda process=process: process.number) for process in processes]  # type: ignore[misc]  # bound now
    made = []
    for _ in range(2_000):
        now_us = time.time_ns() // 1000
        made += [account.stamp(now_us).now_ms for account in accounts]
    assert len(set(made)) == len(made)
    assert {ms % SLOTS for ms in made} == {0, 1, 2, 3}


async def test_a_process_that_let_go_uses_the_shared_number(open_place: Open) -> None:
    """So does one that slept for longer than its lease."""
    slots = Slots(await open_place(), SystemClock())
    assert slots.number == SHARED_SLOT
    await slots.take()
    assert slots.number == 0
    await slots.release()
    assert slots.number == SHARED_SLOT


def _sign(_: Request, __: Stamp) -> SignedRequest:
    return SignedRequest("GET", "", {}, b"")
