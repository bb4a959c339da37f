"""What RabbitMQ says, in words that name the object and whoever may not: as 3.10 and as 4.0 say it."""

import pytest

from router.broker.causes import Closing, in_words, of_connecting
from router.config import BrokerSettings

CONFLICT = "PRECONDITION_FAILED - inequivalent arg "


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            f"{CONFLICT}'x-delivery-limit' for queue 'q' in vhost '/': received '100' but current is '50'",
            "queue q in vhost / has x-delivery-limit 50, wanted is 100",
        ),
        (
            f"{CONFLICT}'x-queue-type' for queue 'q' in vhost 'v': received none but current is the value 'quorum' "
            "of type 'longstr'",
            "queue q in vhost v has x-queue-type quorum, wanted is none",
        ),
        (
            f"{CONFLICT}'x-overflow' for queue 'q' in vhost '/': received the value 'reject-publish' of type 'longstr' "
            "but current is none",
            "queue q in vhost / has no x-overflow, wanted is reject-publish",
        ),
        (
            f"{CONFLICT}'type' for exchange 'e' in vhost '/': received 'topic' but current is 'fanout'",
            "exchange e in vhost / has type fanout, wanted is topic",
        ),
        ("NOT_FOUND - no queue 'q' in vhost '/'", "there is no queue q in vhost /"),
        ("NOT_FOUND - no exchange 'e' in vhost 'v'", "there is no exchange e in vhost v"),
        ("RESOURCE_LOCKED - something else", "RESOURCE_LOCKED - something else"),
        ("", "Exception"),
        ("Expected one of ['Connection.OpenOk'], got <Connection.Close object at 0x7f54>", "Exception"),
    ],
)
def test_what_the_broker_says(said: str, words: str) -> None:
    """An object of Python's own is never shown; what is not known is repeated."""
    assert in_words(Exception(said)) == words


@pytest.mark.parametrize(
    ("kind", "asked", "told"),
    [
        ("queue", "read", "read"),
        ("queue", "configure", "configure"),
        ("queue", "bind", "write to"),
        ("exchange", "bind", "read"),
        ("exchange", "write", "write to"),
        ("queue", "use", "use"),
    ],
)
def test_which_permission_is_missing(kind: str, asked: str, told: str) -> None:
    """RabbitMQ 4 says which it was, 3.10 leaves it to who asked."""
    plain = f"ACCESS_REFUSED - access to {kind} 'x' in vhost '/' refused for user 'u'"
    assert in_words(Exception(plain), asked) == f"user u may not {told} {kind} x in vhost /"
    later = plain.replace("access to", "configure access to", 1)
    assert in_words(Exception(later), asked) == f"user u may not configure {kind} x in vhost /"


@pytest.mark.parametrize(
    ("closing", "words"),
    [
        (Closing(403, "ACCESS_REFUSED - Login was refused"), "h:5672 does not know user u, or not with this password"),
        (Closing(530, "NOT_ALLOWED - vhost v not found"), "there is no vhost v"),
        (Closing(530, "NOT_ALLOWED - access to vhost 'v' refused for user 'u'"), "user u may not use vhost v"),
        (Closing(530, "NOT_ALLOWED - access to vhost 'v' refused for user 'u': connection limit (1) is reached"),
         "h:5672 refused: access to vhost 'v' refused for user 'u': connection limit (1) is reached"),
        (Closing(541, "INTERNAL_ERROR"), "h:5672 refused: INTERNAL_ERROR"),
    ],
)  # fmt: skip
def test_why_a_login_fails(closing: Closing, words: str) -> None:
    """By what the broker said last; aiormq does not keep it. No password is told."""
    config = BrokerSettings(url="amqp://u:hush@h/v")
    assert of_connecting(Exception("<Connection.Close object at 0x7f54>"), closing, config, 10) == words


def test_a_login_that_is_cut_off() -> None:
    """aiormq meets the end of the connection in several ways; a server that wants a certificate ends it, too."""
    plain, tls = BrokerSettings(url="amqp://h/"), BrokerSettings(url="amqps://h/")
    for error in (StopAsyncIteration(), ConnectionResetError(), EOFError()):
        assert of_connecting(error, None, plain, 10) == "h:5672 hung up"
        assert of_connecting(error, None, tls, 10).startswith("h:5671 hung up: it may want a certificate of ours")


def test_an_unanswered_login() -> None:
    """With the host, the port and how long it took."""
    config = BrokerSettings(url="amqps://[::1]/")
    assert of_connecting(TimeoutError(), None, config, 10) == "no answer from [::1]:5671 within 10 s"
