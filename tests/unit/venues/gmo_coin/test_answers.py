"""GMO Coin: what an answer to a command means."""

import pytest

from router.venue_protocol import (
    Accepted,
    Look,
    Outcome,
    Refused,
    Response,
    Retry,
    Unknown,
)
from schemas.commands import Command
from tests.unit.venues.gmo_coin.canned import GMO, cancel, close, failure

TABLE = """
ERR-70    invalid_command        -
ERR-151   Unknown                Look
ERR-189   insufficient_position  -
ERR-200   insufficient_position  -
ERR-201   insufficient_funds     -
ERR-208   insufficient_funds     -
ERR-254   Look                   -
ERR-422   Look                   -
ERR-430   venue_rejected         -
ERR-554   Unknown                Unknown
ERR-626   Unknown                Unknown
ERR-635   venue_rejected         -
ERR-682   account_restricted!    account_restricted!
ERR-683   account_restricted!    account_restricted!
ERR-754   -                      -
ERR-846   -                      -
ERR-5003  Retry:rate_limited     Retry:rate_limited
ERR-5007  auth_failed!           auth_failed!
ERR-5008  Retry:clock_skew*2     Retry:clock_skew*2
ERR-5009  Retry:clock_skew*2     Retry:clock_skew*2
ERR-5010  auth_failed!           auth_failed!
ERR-5011  auth_failed!           auth_failed!
ERR-5012  auth_failed!           auth_failed!
ERR-5014  account_restricted!    account_restricted!
ERR-5106  invalid_command        invalid_command
ERR-5111  invalid_command        -
ERR-5114  invalid_command        -
ERR-5118  venue_rejected         -
ERR-5121  invalid_price          -
ERR-5122  -                      Look
ERR-5123  -                      order_not_found
ERR-5125  account_restricted!    account_restricted!
ERR-5126  invalid_size           -
ERR-5127  account_restricted!    account_restricted!
ERR-5129  invalid_price          -
ERR-5133  -                      -
ERR-5135  -                      -
ERR-5201  Retry:venue_maintenance  Retry:venue_maintenance
ERR-5202  Retry:venue_maintenance  Retry:venue_maintenance
ERR-5203  Retry:venue_maintenance  Retry:venue_maintenance
ERR-5204  venue_rejected!        venue_rejected!
ERR-5206  -                      -
ERR-5207  -                      -
ERR-5208  -                      -
ERR-143   -                      -
ERR-760   -                      -
ERR-5105  -                      -
ERR-5218  -                      -
"""

ROWS = [line.split() for line in TABLE.strip().splitlines()]


def word(outcome: Outcome) -> str:
    """Return an outcome as the table writes it."""
    match outcome:
        case Refused():
            return f"{outcome.code}{'!' if outcome.alert else ''}"
        case Retry():
            return f"Retry:{outcome.code}{f'*{outcome.tries}' if outcome.tries else ''}"
        case Unknown():
            return "Unknown"
        case _:
            return type(outcome).__name__


@pytest.mark.parametrize(("code", "on_close", "on_cancel"), ROWS)
@pytest.mark.parametrize("http", [200, 400, 404])
def test_every_code_means_what_the_table_says(code: str, on_close: str, on_cancel: str, http: int) -> None:
    """The code decides at any HTTP status; one that is no answer to the command leaves it in doubt."""
    for command, wanted in ((close(), on_close), (cancel(), on_cancel)):
        outcome = GMO.verdict(command, failure(code, http=http))
        assert word(outcome) == ("Unknown" if wanted == "-" else wanted)
        assert outcome.venue_code == code
        assert getattr(outcome, "message", "") == f"about {code}"


@pytest.mark.parametrize(("code", "on_close", "on_cancel"), ROWS)
def test_a_5xx_only_says_not_processed(code: str, on_close: str, on_cancel: str) -> None:
    """Behind a gateway error a refusal proves nothing; a throttle, a clock or maintenance still does."""
    for command, wanted in ((close(), on_close), (cancel(), on_cancel)):
        outcome = word(GMO.verdict(command, failure(code, http=503)))
        assert outcome == (wanted if wanted.startswith("Retry") else "Unknown")


def test_waits_are_long_enough() -> None:
    """A throttle waits a second at least, maintenance five to thirty."""
    for code, least, most in (("ERR-5003", 1, 5), ("ERR-5201", 5, 30), ("ERR-5202", 5, 30), ("ERR-5203", 5, 30)):
        outcome = GMO.verdict(close(), failure(code, status=4))
        assert isinstance(outcome, Retry)
        assert least <= outcome.after_s <= most


def test_the_first_of_several_codes_speaks_unless_one_is_in_doubt() -> None:
    """Several refusals are a refusal; one code that is not known to be one leaves a close in doubt."""
    assert word(GMO.verdict(close(), failure("ERR-5126", "ERR-5106"))) == "invalid_size"
    assert GMO.verdict(close(), failure("ERR-5126", "ERR-626")) == Unknown(
        venue_code="ERR-626", message="about ERR-626"
    )
    assert isinstance(GMO.verdict(close(), failure("ERR-5126", "ERR-999")), Unknown)


def test_a_close_is_accepted_with_its_order_id() -> None:
    """The answer holds the new order's id as text and nothing else of the order."""
    body = b'{"status":0,"data":"637000","responsetime":"2019-03-19T01:07:24.557Z"}'
    assert GMO.verdict(close(), Response(200, {}, body)) == Accepted(order_id="637000")


def test_a_cancel_is_accepted_without_data() -> None:
    """The answer names nothing: the order is the one that was asked for."""
    body = b'{"status":0,"responsetime":"2019-03-19T01:07:24.557Z"}'
    assert GMO.verdict(cancel(), Response(200, {}, body)) == Accepted(order_id="637000")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b'{"status":0,"data":"637000"}'),
        (201, b'{"status":0,"data":"637000"}'),
        (200, b'{"status":0}'),
        (200, b'{"status":0,"data":null}'),
        (200, b'{"status":0,"data":""}'),
        (200, b'{"status":0,"data":637000.5}'),
        (200, b'{"status":0,"data":-637000}'),
        (200, b'{"status":0,"data":true}'),
        (200, b'{"status":0,"data":["637000"]}'),
        (200, b'{"status":0,"data":{"orderId":"637000"}}'),
        (200, b'{"status":0,"data":"637000","messages":[{"message_code":"ERR-189"}]}'),
        (200, b'{"status":1,"data":"637000","messages":[{"message_code":"ERR-189"}]}'),
        (200, b'{"status":1}'),
        (200, b'{"status":1,"messages":[]}'),
        (200, b'{"status":1,"messages":[{"message_code":189}]}'),
        (200, b'{"status":1,"messages":{"message_code":"ERR-189"}}'),
        (200, b'{"status":"0","data":"637000"}'),
        (200, b'{"status":false,"data":"637000"}'),
        (200, b'{"data":"637000"}'),
        (200, b'{"status":0,"data":"637000"'),
        (200, b"<html>502</html>"),
        (200, b"null"),
        (200, b"\xff"),
        (200, b'"\\ud800"'),
        (200, b"[" * 50_000),
        (200, b'{"status":' + b"9" * 5_000 + b"}"),
        (429, b""),
        (429, b"Too Many Requests"),
        (408, b""),
        (425, b""),
        (404, b""),
        (502, b""),
    ],
)
def test_a_close_that_is_not_clearly_answered_is_in_doubt(status: int, body: bytes) -> None:
    """Success is only the documented one, a refusal only a documented code; an undocumented 429 proves nothing."""
    assert isinstance(GMO.verdict(close(), Response(status, {}, body)), Unknown)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b'{"status":0,"data":"637000"}'),
        (200, b'{"status":0,"data":"637000","messages":[{"message_code":"ERR-189"}]}'),
        (200, b'{"status":1,"data":"637000","messages":[{"message_code":"ERR-189"}]}'),
    ],
)
def test_an_order_that_an_ambiguous_answer_names_is_kept(status: int, body: bytes) -> None:
    """It is what the lookup reads first; a cancel's answer names nothing new."""
    outcome = GMO.verdict(close(), Response(status, {}, body))
    assert isinstance(outcome, Unknown)
    assert outcome.order_id == "637000"
    assert getattr(GMO.verdict(cancel(), Response(status, {}, body)), "order_id", None) is None


def test_an_order_id_may_be_a_number() -> None:
    """Every other id of this venue is one."""
    outcome = GMO.verdict(close(), Response(200, {}, b'{"status":0,"data":637000}'))
    assert outcome == Accepted(order_id="637000")


@pytest.mark.parametrize("body", [b"", b"<html>", b"Unauthorized", b'{"message":"Forbidden"}', b'{"status":1}'])
@pytest.mark.parametrize("command", [close(), cancel()], ids=["close", "cancel"])
def test_a_401_or_403_without_a_code_was_not_executed(command: Command, body: bytes) -> None:
    """An edge refused it, before the venue: a few tries, then an operator."""
    assert word(GMO.verdict(command, Response(401, {}, body))) == "Retry:auth_failed*2"
    assert word(GMO.verdict(command, Response(403, {}, body))) == "account_restricted!"


def test_a_401_with_a_code_that_nobody_documented_was_not_executed() -> None:
    """The status alone says that it went no further, unless the code says otherwise."""
    assert word(GMO.verdict(close(), failure("ERR-9999", http=401))) == "Retry:auth_failed*2"
    assert word(GMO.verdict(close(), failure("ERR-626", http=401))) == "Unknown"


def test_a_cancel_with_data_is_not_clearly_answered() -> None:
    """A cancel's success has no data: what it would mean is not known."""
    assert isinstance(GMO.verdict(cancel(), Response(200, {}, b'{"status":0,"data":{"failed":[1]}}')), Unknown)


def test_maintenance_is_read_without_a_response_time() -> None:
    """The captured envelope of maintenance is shorter than every other."""
    body = (
        b'{"status":5,"messages":[{"message_code":"ERR-5201","message_string":"MAINTENANCE. Please wait for a while"}]}'
    )
    assert word(GMO.verdict(close(), Response(200, {}, body))) == "Retry:venue_maintenance"


def test_look_keeps_the_code_for_the_lookup() -> None:
    """What the venue said decides, together with the reads, whether a position is gone."""
    assert GMO.verdict(close(), failure("ERR-254")) == Look(venue_code="ERR-254", message="about ERR-254")
