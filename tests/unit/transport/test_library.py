"""What `transport.http` uses of aiohttp without its documentation. These fail first when a new version differs."""

import inspect
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ClientRequest
from aiohttp.connector import Connection
from aiohttp.http import HttpResponseParser, RawResponseMessage
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader

PROJECT = Path(__file__).parents[3] / "pyproject.toml"


def test_the_version_is_pinned_and_is_the_one_that_runs() -> None:
    """A class that is not documented may change with any release: a new one is taken on purpose, after these tests."""
    (pin,) = [name for name in tomllib.loads(PROJECT.read_text())["project"]["dependencies"] if "aiohttp" in name]
    assert pin == f"aiohttp=={version('aiohttp')}"


@pytest.mark.parametrize(
    ("called", "names"),
    [
        (aiohttp.TCPConnector.connect, ["self", "req", "traces", "timeout"]),
        (Connection.__init__, ["self", "connector", "key", "protocol", "loop"]),
    ],
)
def test_what_is_called_takes_what_it_is_given(called: Any, names: list[str]) -> None:
    """By position."""
    assert list(inspect.signature(called).parameters) == names


def test_a_request_can_name_where_to() -> None:
    """Its URL, the loop, and a proxy with headers for it alone."""
    parameters = inspect.signature(ClientRequest.__init__).parameters
    assert list(parameters)[:3] == ["self", "method", "url"]
    assert {"headers", "loop", "proxy", "proxy_headers"} <= parameters.keys()


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (Connection, {"protocol", "transport", "closed", "close"}),
        (ResponseHandler, {"should_close", "connection_lost"}),
        (StreamReader, {"is_eof", "read_nowait"}),
        (HttpResponseParser, {"feed_data", "feed_eof"}),
        (RawResponseMessage, {"code", "headers", "should_close", "chunked"}),
    ],
)
def test_what_is_used_is_there(kind: type, names: set[str]) -> None:
    """Methods and properties by name."""
    assert names <= set(dir(kind))


def test_an_empty_body_has_a_length() -> None:
    """`total_bytes` is set in the constructor, where no class shows it."""
    assert EMPTY_PAYLOAD.total_bytes == 0
