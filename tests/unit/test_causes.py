"""Errors of sockets and TLS in words, made by real sockets where that takes no network."""

import asyncio
import errno
import socket
import ssl
from pathlib import Path

import pytest

from router.causes import Peer, of_connection, of_file

PEER = Peer("venue.test", 443)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConnectionRefusedError(111, "secret"), "nothing listens at venue.test:443"),
        (ConnectionResetError(104, "secret"), "venue.test:443 hung up"),
        (asyncio.IncompleteReadError(b"secret", 7), "venue.test:443 hung up"),
        (socket.gaierror(-2, "secret"), "there is no host venue.test, or no name server that knows it"),
        (OSError(errno.EHOSTUNREACH, "secret"), "no network leads to venue.test:443"),
        (TimeoutError(), "no answer from venue.test:443"),
        (ValueError("secret"), None),
    ],
)
def test_what_a_socket_says(error: Exception, words: str | None) -> None:
    """Never in the error's own words: those may quote what was asked for."""
    assert of_connection(error, PEER) == words
    wrapped = RuntimeError("secret")
    wrapped.__cause__ = error
    assert of_connection(wrapped, PEER) == (None if isinstance(error, TimeoutError) else words)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (62, "the certificate of venue.test:443 is for another host name than venue.test"),
        (64, "the certificate of venue.test:443 is for another host name than venue.test"),
        (10, "the certificate of venue.test:443 has expired"),
        (9, "the certificate of venue.test:443 is not valid yet"),
        (20, "the certificate of venue.test:443 is signed by no authority in ca.pem"),
        (23, "the certificate of venue.test:443 is not accepted: revoked"),
    ],
)
def test_what_is_wrong_with_a_certificate(code: int, words: str) -> None:
    """By OpenSSL's code; the file of authorities is named."""
    error = ssl.SSLCertVerificationError(1, "secret")
    error.verify_code, error.verify_message = code, "revoked"
    assert of_connection(error, PEER._replace(authorities="ca.pem")) == words


def test_an_address_of_six_groups_is_told_from_its_port() -> None:
    """As in a URL."""
    assert str(Peer("::1", 5671)) == "[::1]:5671"


def test_what_is_wrong_with_a_file(tmp_path: Path) -> None:
    """Its name, and the system's words."""
    with pytest.raises(OSError) as caught:  # noqa: PT011 - which one is what is tested
        (tmp_path / "none").read_text()
    assert of_file(caught.value, "none") == "none: no such file or directory"
