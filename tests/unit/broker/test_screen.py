"""Whatever stands in a content header, aiormq can read what the screen lets through (row 31)."""

import struct

import pamqp.frame
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp.header import ContentHeader

from router.broker.screen import DAMAGED, screened
from tests.hostile import nested

TIMESTAMP, CLUSTER_ID, HEADERS = 0x0040, 0x0004, 0x2000


def header(flags: int, rest: bytes) -> bytes:
    """Return the payload of a content header of five bytes of body."""
    return struct.pack(">HHQH", 60, 0, 5, flags) + rest


def passed(payload: bytes) -> ContentHeader:
    """Return what aiormq reads."""
    frame = screened(1, payload) or struct.pack(">BHI", 2, 1, len(payload)) + payload + b"\xce"
    _, _, read = pamqp.frame.unmarshal(frame)
    assert isinstance(read, ContentHeader)
    assert read.body_size == 5
    return read


def damage(payload: bytes) -> object:
    """Return what is said of it, if anything."""
    return (passed(payload).properties.headers or {}).get(DAMAGED)


@pytest.mark.parametrize("exponent", [0, 31, 32, 33, 40, 53, 60, 63])
def test_a_time_in_any_unit_is_read_or_named(exponent: int) -> None:
    """Seconds are what AMQP asks for; senders write milliseconds and nanoseconds as well."""
    assert damage(header(TIMESTAMP, struct.pack(">Q", 2**exponent))) in {
        None, "timestamp: not a time in seconds since 1970",
    }  # fmt: skip
    assert damage(header(TIMESTAMP, struct.pack(">Q", 1_700_000_000))) is None
    assert damage(header(TIMESTAMP, struct.pack(">Q", 1_700_000_000 * 10**9))) is not None


def test_a_damaged_header_with_a_cluster_id_is_replaced() -> None:
    """AMQP 0-9-1 has deprecated it, and no library writes one."""
    said = damage(header(HEADERS | CLUSTER_ID, nested(600) + b"\x01x"))
    assert isinstance(said, str)
    assert said.startswith("headers: ")


@given(st.integers(0, 0xFFFF), st.binary(max_size=300))
def test_nothing_gets_through_that_cannot_be_read(flags: int, rest: bytes) -> None:
    """Any flags, any bytes."""
    passed(header(flags, rest))


@given(st.binary(max_size=200))
def test_no_table_gets_through_that_cannot_be_read(table: bytes) -> None:
    """A table of any bytes, its length right."""
    passed(header(HEADERS, struct.pack(">I", len(table)) + table))
