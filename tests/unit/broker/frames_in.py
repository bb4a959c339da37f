"""Frames as a broker would send them, written by pamqp."""

from typing import Any

import pamqp.frame
from pamqp import commands as spec
from pamqp.body import ContentBody
from pamqp.header import ContentHeader


def framed(frame: Any, channel: int = 1) -> bytes:
    """Return one frame."""
    return pamqp.frame.marshal(frame, channel)


def content(method: Any, body: bytes, channel: int = 1, **properties: Any) -> bytes:
    """Return a method with a message, whose body comes in two frames if it can."""
    header = ContentHeader(body_size=len(body), properties=spec.Basic.Properties(**properties))
    parts = [part for part in (body[:3], body[3:]) if part]
    return b"".join(framed(frame, channel) for frame in (method, header, *map(ContentBody, parts)))


def read(raw: bytes) -> list[Any]:
    """Return the frames that were written, as pamqp reads them."""
    found = []
    while raw:
        size, _, frame = pamqp.frame.unmarshal(raw)
        found.append(frame)
        raw = raw[size:]
    return found
