"""How deep arrays and objects lie in each other in a body, without decoding it (contract, section 1).

Whatever is stored has to be read again, by programs that stop at some depth. So depth is looked at first, here, where
nothing calls itself.
"""

import re
from typing import Final

MAX_DEPTH: Final = 16

# Nothing is tried twice (possessive), and one that does not end is taken whole: else 64 KiB of escaped quotes, which
# end nothing, took eight seconds.
_JSON_STRING: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_BRACKETS: Final = re.compile(rb"[\[\]{}]")
# The MessagePack specification, "Formats": first byte → bytes of length, and how many bytes or items follow it.
_FIXED: Final = {
    0xC0: 0, 0xC2: 0, 0xC3: 0, 0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8,
    0xD4: 2, 0xD5: 3, 0xD6: 5, 0xD7: 9, 0xD8: 17,
}  # fmt: skip
_SIZED: Final = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}
_EXTENSIONS: Final = {0xC7: 1, 0xC8: 2, 0xC9: 4}
_ITEMS: Final = {0xDC: (2, 1), 0xDD: (4, 1), 0xDE: (2, 2), 0xDF: (4, 2)}


def json_is_deep(body: bytes) -> bool:
    """Say whether a JSON text is nested deeper than `MAX_DEPTH`. Of what is no JSON it says anything."""
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return False
    depth = 0
    for bracket in _BRACKETS.findall(_JSON_STRING.sub(b"", body)):
        depth += 1 if bracket in b"[{" else -1
        if depth > MAX_DEPTH:
            return True
    return False


def msgpack_is_deep(body: bytes) -> bool:
    """Say whether a MessagePack value is nested deeper than `MAX_DEPTH`. Of what is no MessagePack it says anything."""
    at, end = 0, len(body)
    left: list[int] = []
    """How many items each open array or map still lacks, the innermost last."""
    while at < end:
        size, items = _head(body, at)
        at += size
        while left and not left[-1]:
            left.pop()
        if left:
            left[-1] -= 1
        if items is not None:
            left.append(items)
            if len(left) > MAX_DEPTH:
                return True
        elif not left:
            return False  # one value, and no more
    return False


def _head(body: bytes, at: int) -> tuple[int, int | None]:
    """Return how far it is to what comes next, and how many items an array or a map has, keys counted too."""
    first = body[at]
    if first <= 0x7F or first >= 0xE0:
        return 1, None
    if first <= 0x8F:
        return 1, 2 * (first & 0x0F)
    if first <= 0x9F:
        return 1, first & 0x0F
    if first <= 0xBF:
        return 1 + (first & 0x1F), None
    if first in _ITEMS:
        width, each = _ITEMS[first]
        return 1 + width, each * int.from_bytes(body[at + 1 : at + 1 + width], "big")
    if first in _SIZED:
        width = _SIZED[first]
        return 1 + width + int.from_bytes(body[at + 1 : at + 1 + width], "big"), None
    if first in _EXTENSIONS:
        width = _EXTENSIONS[first]
        return 2 + width + int.from_bytes(body[at + 1 : at + 1 + width], "big"), None
    return 1 + _FIXED.get(first, 0), None
