"""Numbers, times and ids as venues write them."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.venue_protocol import reading

ANYTHING = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=60) | st.lists(st.integers())


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("0.30000000000000004", "0.30000000000000004"),
        ("1e-7", "0.0000001"),
        ("1.5E3", "1500"),
        (435372, "435372"),
        (0, "0"),
        ("-1", None),
        ("1e999", None),
        ("", None),
        ("٣", None),
        (True, None),
        (None, None),
        ("1" * 41, None),
        (10**40, None),
        (" 1", None),
        ("1\n", None),
    ],
)
def test_a_number_keeps_the_venues_digits(value: Any, text: str | None) -> None:
    """An exponent is written out; what is no plain number of zero or more is none."""
    assert reading.decimal(value) == text


@pytest.mark.parametrize(
    ("text", "is_id"),
    [
        ("1", True),
        ("9223372036854775807", True),
        ("9223372036854775808", False),
        ("0", False),
        ("01", False),
        ("1\n", False),
        ("", False),
        ("x", False),
    ],
)
def test_an_id_is_the_canonical_text_of_a_positive_int64(text: str, is_id: bool) -> None:
    """It travels as a JSON number and comes out as it went in."""
    assert reading.is_id(text) is is_id


@pytest.mark.parametrize(
    ("text", "at_ms"),
    [
        ("2023-11-14T22:13:20.999Z", 1_700_000_000_999.0),
        ("2023-11-14T23:13:20.999+01:00", 1_700_000_000_999.0),
        ("2023-11-14T22:13:20.999", 0.0),
        ("0001-01-01T00:00:00Z", 0.0),
        ("0001-01-01T00:00:00+23:59", 0.0),
        ("yesterday", 0.0),
        (7, 0.0),
    ],
)
def test_a_time_has_an_offset(text: Any, at_ms: float) -> None:
    """Year 1 stands for none."""
    assert reading.iso_ms(text) == at_ms
    assert reading.iso_time(text) == (text if at_ms else None)


def test_a_time_in_milliseconds_may_be_text() -> None:
    """0 is no time, and one beyond the calendar none either."""
    assert reading.ms_time(1647883449587) == reading.ms_time("1647883449587") == "2022-03-21T17:24:09.587Z"
    assert reading.ms_time(0) is reading.ms_time("soon") is reading.ms_time(10**17) is None


@given(ANYTHING)
def test_no_value_makes_a_reader_raise(value: Any) -> None:
    """What cannot be read is `None` or zero, and what can is a plain decimal."""
    for reader in (reading.decimal, reading.signed_decimal, reading.positive):
        text = reader(value)
        assert text is None or (Decimal(text).is_finite() and "e" not in text.lower())
    for other in (reading.text_of, reading.word_of, reading.whole_number, reading.iso_ms, reading.ms_time,
                  reading.raw_object, reading.objects):  # fmt: skip
        other(value)
    assert reading.same_number(value, value) in {True, None}


@given(st.decimals(allow_nan=False, allow_infinity=False, places=8, min_value=-(10**12), max_value=10**12))
def test_plain_numbers_are_equal_to_what_they_were(value: Decimal) -> None:
    """No exponent and no zeros at the end."""
    text = reading.plain(value)
    assert Decimal(text) == value
    assert "E" not in text
    assert reading.same_number(text, f"{value:f}")
