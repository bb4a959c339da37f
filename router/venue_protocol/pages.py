"""Read a venue's list to its end, and never mistake a part for the whole.

A list that was read to its end is `Whole`, and only that has `rows`: what is not among them is not there. Whatever
else comes back is `Torn`: a page that failed, more pages without a way to them, a filter that was ignored, an answer
that says it hides rows. A torn list has `glimpsed`, which may show that something is there and never that it is not,
and `doubt`, the outcome of a look that ends with it; `glimpse` gives what either shows. So a lookup cannot conclude
from a part by mistake: the type checker refuses `rows` of what may be torn.
"""

from collections.abc import Callable, Generator
from typing import Final, Generic, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from router.venue_protocol.outcome import Unknown
from router.venue_protocol.request import Request, Response

T = TypeVar("T")

DENIED: Final = frozenset({401, 403})
"""The read itself was refused: this key, or this address, may not ask."""


class Whole(Struct, Generic[T], frozen=True):
    """Every row of a list."""

    rows: tuple[T, ...]


class Torn(Struct, Generic[T], frozen=True):
    """Some rows of a list, and why these are not all."""

    doubt: Unknown
    glimpsed: tuple[T, ...] = ()


class Page(Struct, Generic[T], frozen=True, kw_only=True):
    """One answer of a list: its rows, the request for the next page if there is one, and what makes it no proof."""

    rows: tuple[T, ...]
    more: Request | None = None
    torn: str = ""


Listed = Whole[T] | Torn[T]
Listing = Generator[Request, Response, Whole[T] | Torn[T]]
Reading = Generator[Request, Response, T | Unknown]
"""One read: what it shows, or `Unknown` that is not whole."""


def unread(response: Response, message: str, *, code: str | None = None, denied: bool | None = None) -> Unknown:
    """Return what a read that brought no usable answer proves: nothing.

    `denied`: whether the venue's words refuse the key; left out, the HTTP status says so. A refused timestamp does not.
    """
    denied = response.status in DENIED if denied is None else denied
    return Unknown(venue_code=code or str(response.status), message=message[:200], whole=False, denied=denied)


def read_all(
    first: Request,
    page_of: Callable[[Request, Response], Page[T] | Unknown],
    *,
    most_pages: int,
    enough: Callable[[T], bool] | None = None,
    key: Callable[[T], object] | None = None,
) -> Listing[T]:
    """Read page after page until one has no successor. `page_of` reads an answer, or says why it cannot.

    `enough`: a row that ends the reading, because it is what was sought. The list is torn then, if it goes on. `key`:
    rows may leave the list meanwhile, and what then moves up a page stands on none that is read; so every page but the
    last is read again, and a list that has changed is torn.
    """
    rows: list[T] = []
    pages: list[tuple[Request, tuple[T, ...]]] = []
    request, asked = first, {first}
    for _ in range(most_pages):
        response = yield request
        page = page_of(request, response)
        if isinstance(page, Unknown):
            return Torn(page, tuple(rows))
        rows += page.rows
        if page.torn:
            return Torn(_not_whole(request, page.torn), tuple(rows))
        if page.more is None:
            moved = (yield from _moved(pages, page_of, key)) if key is not None else None
            return Whole(tuple(rows)) if moved is None else Torn(moved, tuple(rows))
        pages.append((request, page.rows))
        if enough is not None and any(map(enough, page.rows)):
            return Torn(_not_whole(request, "read no further than what was sought"), tuple(rows))
        if page.more in asked:
            return Torn(_not_whole(request, "there is more, but no page that was not read"), tuple(rows))
        request = page.more
        asked.add(request)
    return Torn(_not_whole(first, f"more than {most_pages} pages"), tuple(rows))


def _moved(
    pages: list[tuple[Request, tuple[T, ...]]],
    page_of: Callable[[Request, Response], Page[T] | Unknown],
    key: Callable[[T], object],
) -> Generator[Request, Response, Unknown | None]:
    """Read pages again, and say what has changed. Under another name, or the first answers would be shared."""
    for request, rows in pages:
        again = replace(request, endpoint=f"{request.endpoint}_again")
        page = page_of(again, (yield again))
        if isinstance(page, Unknown):
            return page
        if page.torn or [key(row) for row in page.rows] != [key(row) for row in rows]:
            return _not_whole(request, "the list changed while it was read")
    return None


def glimpse(listed: Whole[T] | Torn[T]) -> tuple[T, ...]:
    """Return the rows that were seen: enough to show that something is there, never that it is not."""
    return listed.rows if isinstance(listed, Whole) else listed.glimpsed


def _not_whole(request: Request, why: str) -> Unknown:
    return Unknown(message=f"{request.endpoint}: {why}"[:200], whole=False)
