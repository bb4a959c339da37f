"""The token of a private socket ("Access Token"): extended every 15 of its 60 minutes, deleted at the end."""

import re
from collections.abc import Sequence
from typing import Any, Final, Literal
from urllib.parse import quote

import msgspec

from router.venue_protocol import Request, Response, Retry, Stamp
from router.venue_protocol.reading import UNREADABLE
from router.venue_protocol.stream import Ask, Broken, Connect, Want
from router.venues.gmo_coin.codes import BOTH
from router.venues.gmo_coin.reads import Envelope, any_answer

_EXTEND_MS: Final = 15 * 60_000
_EXTEND_AGAIN_MS: Final = 60_000
_STALE_MS: Final = 45 * 60_000


class _TokenRequest(Request, frozen=True, kw_only=True):
    """Extends or deletes a token, which is a bearer credential in the body: it never prints."""

    def __repr__(self) -> str:
        return f"Request({self.method} {self.path} …)"


class Token:
    """One connection's token and its times."""

    def __init__(self, ws_url: str) -> None:
        self._ws_url = ws_url
        self._text = ""
        self._extended_ms = 0
        self._extend_at_ms = 0

    def ask(self) -> Ask:
        """Ask for a new one: the last may have been evicted, or have died in a maintenance."""
        return Ask(Request(method="POST", path="/v1/ws-auth", endpoint="ws_auth", body=b"{}", scopes=("post",)))

    def answered(self, request: Request, response: Response | None, stamp: Stamp) -> Sequence[Want]:
        """Open the socket with the token; notice an extension that the venue refuses, or that takes too long."""
        if request.method == "DELETE":
            return ()
        answer, why, passing = _read(response)
        if request.method == "POST":
            if answer is None or not isinstance(answer.data, str) or not re.fullmatch(r"[!-~]{1,1000}", answer.data):
                return (Broken(f"ws_auth: {why or 'no token'}"),)
            self._text = answer.data
            self._extended(stamp)
            return (Connect(f"{self._ws_url}/v1/{quote(self._text, safe='')}"),)
        if answer is not None:
            self._extended(stamp)
        elif not passing or stamp.now_ms - self._extended_ms >= _STALE_MS:
            return (Broken(f"ws_auth: the token was not extended: {why}"),)
        return ()

    def extend(self, stamp: Stamp) -> Sequence[Want]:
        """Extend it when it is time, and a minute later again if that has had no answer."""
        if not self._text or stamp.now_ms < self._extend_at_ms:
            return ()
        self._extend_at_ms = stamp.now_ms + _EXTEND_AGAIN_MS
        return (Ask(self._request("PUT")),)

    def delete(self) -> Sequence[Want]:
        """Delete it: an account has five."""
        return (Ask(self._request("DELETE")),) if self._text else ()

    def hidden(self, text: str) -> str:
        """Return a text without the token in it."""
        return text.replace(self._text, "…") if self._text else text

    def _extended(self, stamp: Stamp) -> None:
        self._extended_ms = stamp.now_ms
        self._extend_at_ms = stamp.now_ms + _EXTEND_MS

    def _request(self, method: Literal["PUT", "DELETE"]) -> Request:
        body = msgspec.json.encode({"token": self._text})
        return _TokenRequest(method=method, path="/v1/ws-auth", endpoint="ws_auth", body=body, scopes=("post",))


def _read(response: Response | None) -> tuple[Envelope[Any] | None, str, bool]:
    """Return the answer if it is a success, else why not and whether that may pass."""
    if response is None:
        return None, "no answer", True
    try:
        answer = any_answer.decode(response.body)
    except UNREADABLE:
        return None, f"HTTP {response.status} with an unreadable body", True
    if answer.status == 0 and response.status == 200 and not answer.messages:
        return answer, "", False
    code = answer.messages[0].message_code[:32] if answer.messages else f"status {answer.status}"
    return None, code, response.status >= 500 or isinstance(BOTH.get(code), Retry)
