"""Nami: canned commands, answers and reads."""

import json
from collections.abc import Generator
from datetime import UTC, datetime
from typing import Any, TypeVar

from router.venue_protocol import (
    Attempt,
    LookOutcome,
    Request,
    Response,
)
from router.venues.nami import Nami, NamiOptions
from schemas.commands import Cancel

T = TypeVar("T")

NAMI = Nami(NamiOptions())

NOT_AFTER = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)

ID = "435372"


def cancel(**fields: Any) -> Cancel:
    named = {"symbol": "BTCUSDT", "order_id": ID, **fields}
    return Cancel(command_id="cancel-1", venue="nami", account="main", not_after=NOT_AFTER, **named)


def built(venue: Nami = NAMI, **fields: Any) -> Request:
    request = venue.request(cancel(**fields), "unused")
    assert isinstance(request, Request)
    return request


def reply(body: Any, status: int = 200) -> Response:
    return Response(status, {"content-type": "application/json"}, json.dumps(body).encode())


def failure(word: Any, code: int = 6104, status: int = 400) -> Response:
    return reply({"status": word, "code": code, "data": {"requestId": "6f0d-1"}, "message": None}, status)


def order(status: str = "CANCELED", displaying_id: Any = 435372, **fields: Any) -> dict[str, Any]:
    return {"displayingId": displaying_id, "userId": 18, "symbol": "BTCUSDT", "status": status, **fields}


def rows(*found: dict[str, Any]) -> Response:
    return reply({"status": "ok", "data": list(found)})


def open_rows(*found: dict[str, Any]) -> Response:
    return reply({"status": "ok", "data": {"orders": list(found)}})


def run(flow: Generator[Request, Response, T], *answers: Response) -> tuple[T, list[Request]]:
    """Feed a flow its canned answers; every one of them must be asked for."""
    asked: list[Request] = []
    waiting = list(answers)
    try:
        asked.append(next(flow))
        while True:
            asked.append(flow.send(waiting.pop(0)))
    except StopIteration as stop:
        assert not waiting, f"never asked for: {waiting}"
        ended: T = stop.value
        return ended, asked


def lookup(*answers: Response, venue_code: str | None = None, **fields: Any) -> tuple[LookOutcome, list[Request]]:
    attempt = Attempt(client_order_id="unused", sent_ms=1, now_ms=1, venue_code=venue_code)
    return run(NAMI.lookup(cancel(**fields), attempt), *answers)
