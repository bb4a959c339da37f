"""What a request looks like on the wire."""

import pytest

from router.errors import NotSent
from router.venue_protocol import SignedRequest
from tests.unit.transport.bench import METHODS, SECRET, Bench

SAID = "Host: 127.0.0.1:{port}\r\nAccept-Encoding: identity\r\nUser-Agent: order-router\r\n"
JSON = {"API-SIGN": "s", "Content-Type": "application/json"}
OWN = {"Authorization": "Bearer x", "accept": "application/json"}
WRITTEN = [
    ("GET", {}, b"", "Accept: */*\r\n\r\n"),
    ("GET", JSON, b"", "API-SIGN: s\r\nContent-Type: application/json\r\nAccept: */*\r\n\r\n"),
    ("GET", OWN, b"", "Authorization: Bearer x\r\naccept: application/json\r\n\r\n"),
    ("DELETE", JSON, b"", "API-SIGN: s\r\nContent-Type: application/json\r\nAccept: */*\r\nContent-Length: 0\r\n\r\n"),
    ("DELETE", {}, b"", "Accept: */*\r\nContent-Length: 0\r\n\r\n"),
    ("DELETE", {"X-Key": "ü"}, b"{}", "X-Key: ü\r\nAccept: */*\r\nContent-Length: 2\r\n{octets}\r\n{}"),
    ("POST", {}, b"", "Accept: */*\r\nContent-Length: 0\r\n{octets}\r\n"),
    ("PUT", {}, b"", "Accept: */*\r\nContent-Length: 0\r\n{octets}\r\n"),
    ("POST", OWN, b"{}", "Authorization: Bearer x\r\naccept: application/json\r\nContent-Length: 2\r\n{octets}\r\n{}"),
    (
        "POST",
        JSON,
        b'{"a":1}\r\n',
        'API-SIGN: s\r\nContent-Type: application/json\r\nAccept: */*\r\nContent-Length: 9\r\n\r\n{"a":1}\r\n',
    ),
]
"""Captured from aiohttp's session (3.14.5), which wrote the requests before."""
TARGETS = [
    ("http://127.0.0.1:{port}", "/"),
    ("http://127.0.0.1:{port}/", "/"),
    ("HTTP://127.0.0.1:{port}/A?b?c/d://e", "/A?b?c/d://e"),
    ("http://127.0.0.1:{port}//a/../b/./c?x=+%20,:;@!$'()*", "//a/../b/./c?x=+%20,:;@!$'()*"),
    ("http://127.0.0.1:{port}/é?é=%C3", "/é?é=%C3"),
]
UNWRITABLE = {
    "a header on a line of its own": {"API-SIGN": f"{SECRET}\r\nX: y"},
    "a bare line feed": {"API-SIGN": f"{SECRET}\nX: y"},
    "a null": {"API-SIGN": f"{SECRET}\0"},
    "a line break in a name": {f"X: {SECRET}\r\nAPI-SIGN": "y"},
    "another end": {"Content-Length": "1"},
    "chunks": {"Transfer-Encoding": "chunked"},
    "another host": {"host": SECRET},
    "an answer nobody unpacks": {"accept-encoding": "gzip"},
    "a connection to be closed": {"Connection": "close"},
    "a wait for the venue's consent": {"Expect": "100-continue"},
}
NO_TARGETS = ["/a b", "/a\r\nX: y", "/a\nb", "/a\0", "/a#b", "/a?b=\u2028"]
NO_URLS = [
    "",
    "/x",
    "127.0.0.1:{port}/x",
    "ftp://127.0.0.1:{port}/x",
    "https:///x",
    "http://127.0.0.1:{port}?x=/",
    "http://[",
]


@pytest.mark.parametrize(("method", "headers", "body", "rest"), WRITTEN)
async def test_a_request_is_written_as_ever(
    bench: Bench, method: str, headers: dict[str, str], body: bytes, rest: str
) -> None:
    """Byte for byte, what is ours around what was signed."""
    url = f"http://127.0.0.1:{bench.port}/v1/x?b=2"
    await bench.send(SignedRequest(method, url, headers, body))
    head = f"{method} /v1/x?b=2 HTTP/1.1\r\n{SAID}".replace("{port}", str(bench.port))
    rest = rest.replace("{octets}", "Content-Type: application/octet-stream\r\n")
    assert bench.peer.requests == [(head + rest).encode()]


@pytest.mark.parametrize(("url", "target"), TARGETS)
async def test_a_target_goes_out_as_it_stands(bench: Bench, url: str, target: str) -> None:
    """It was signed: nothing in it is tidied up."""
    await bench.send(SignedRequest("GET", url.replace("{port}", str(bench.port)), {}, b""))
    assert bench.peer.requests[0].startswith(f"GET {target} HTTP/1.1\r\n".encode())


async def test_a_password_in_the_url_goes_into_a_header(bench: Bench) -> None:
    """A venue behind a gateway of one's own; it is not part of the target, and no signed header may stand in for it."""
    url = f"http://u:p%40@127.0.0.1:{bench.port}/x"
    await bench.send(SignedRequest("GET", url, {}, b""))
    assert b"GET /x HTTP/1.1\r\n" in bench.peer.requests[0]
    assert b"Authorization: Basic dTpwQA==\r\n" in bench.peer.requests[0]
    assert f"Host: 127.0.0.1:{bench.port}\r\n".encode() in bench.peer.requests[0]
    await bench.fails(NotSent, SignedRequest("GET", url, {"authorization": "Bearer x"}, b""))


@pytest.mark.parametrize("headers", UNWRITABLE.values(), ids=UNWRITABLE)
async def test_a_header_cannot_change_the_request(bench: Bench, headers: dict[str, str]) -> None:
    """What would be read as another request is not even connected for."""
    for method in METHODS:
        await bench.fails(NotSent, SignedRequest(method, bench.request().url, headers, b""))
    assert (bench.begun, bench.peer.connections) == (0, 0)


@pytest.mark.parametrize("target", NO_TARGETS)
async def test_a_target_cannot_change_the_request(bench: Bench, target: str) -> None:
    """Nor is what would end it early."""
    await bench.fails(NotSent, SignedRequest("POST", f"http://127.0.0.1:{bench.port}{target}&{SECRET}", {}, b""))
    assert (bench.begun, bench.peer.connections) == (0, 0)


@pytest.mark.parametrize("url", NO_URLS)
async def test_what_is_no_url_goes_nowhere(bench: Bench, url: str) -> None:
    """And is not quoted."""
    await bench.fails(NotSent, SignedRequest("GET", url.replace("{port}", str(bench.port)) + SECRET, {}, b""))
    assert (bench.begun, bench.peer.connections) == (0, 0)
