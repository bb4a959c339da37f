"""Lists: whole, or proof of nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.venue_protocol import Request, Response, Unknown
from router.venue_protocol.pages import Page, Torn, Whole, glimpse, read_all, unread


def asked(page: int) -> Request:
    return Request(method="GET", path="/rows", endpoint="rows", query=(("page", str(page)),))


def numbered(request: Request, response: Response) -> Page[int] | Unknown:
    """Read a page whose body is its rows, a comma at its end saying that more follows."""
    if response.status != 200:
        return unread(response, "rows cannot be read")
    text = response.body.decode()
    rows = tuple(int(part) for part in text.strip(",?").split(",") if part)
    more = asked(int(dict(request.query)["page"]) + 1) if text.endswith(",") else None
    return Page(rows=rows, more=more, torn="it hides rows" if text.endswith("?") else "")


def read(*bodies: str | int, most_pages: int = 20, enough: int | None = None) -> Whole[int] | Torn[int]:
    """Read canned pages; a number stands for a failed answer's status."""
    flow = read_all(asked(1), numbered, most_pages=most_pages, enough=None if enough is None else enough.__eq__)
    try:
        request = next(flow)
        for number, body in enumerate(bodies, start=1):
            assert dict(request.query) == {"page": str(number)}
            text, status = ("", body) if isinstance(body, int) else (body, 200)
            request = flow.send(Response(status, {}, text.encode()))
    except StopIteration as stop:
        listed: Whole[int] | Torn[int] = stop.value
        return listed
    raise AssertionError("not all pages were read")


def test_a_list_read_to_its_end_is_whole() -> None:
    """Every page, in order."""
    assert read("1,2,", "3,", "4") == Whole((1, 2, 3, 4))
    assert read("") == Whole(())


@pytest.mark.parametrize(
    ("bodies", "seen"),
    [([503], ()), (["1,", 500], (1,)), (["1,2,", "3,", 0], (1, 2, 3)), (["1,2?"], (1, 2)), (["1,", "2?"], (1, 2))],
)
def test_a_page_that_fails_or_hides_tears_the_list(bodies: list[str | int], seen: tuple[int, ...]) -> None:
    """What was seen till then is glimpsed; there are no `rows` to look in."""
    torn = read(*bodies)
    assert isinstance(torn, Torn)
    assert not torn.doubt.whole
    assert not hasattr(torn, "rows")
    assert glimpse(torn) == seen


def test_a_list_without_an_end_is_torn() -> None:
    """Reading is bounded."""
    torn = read("1,", "2,", "3,", most_pages=3)
    assert isinstance(torn, Torn)
    assert (torn.doubt.whole, torn.glimpsed) == (False, (1, 2, 3))


def test_a_list_that_goes_round_is_torn() -> None:
    """A page that names one that was read names no next page."""
    flow = read_all(asked(1), lambda request, response: Page(rows=(1,), more=asked(1)), most_pages=9)
    next(flow)
    with pytest.raises(StopIteration) as stop:
        flow.send(Response(200, {}, b""))
    assert isinstance(stop.value.value, Torn)


def test_what_was_sought_ends_the_reading() -> None:
    """It is seen, and the rest of the list stays unknown; on the last page the list is whole."""
    torn = read("1,2,", enough=2)
    assert isinstance(torn, Torn)
    assert torn.glimpsed == (1, 2)
    assert read("1,", "2", enough=2) == Whole((1, 2))


@pytest.mark.parametrize(("status", "denied"), [(401, True), (403, True), (404, False), (429, False), (500, False)])
def test_a_read_that_the_key_may_not_do_is_denied(status: int, denied: bool) -> None:
    """To ask again with this key tells nothing."""
    doubt = unread(Response(status, {}, b""), "x" * 900)
    assert (doubt.whole, doubt.denied, doubt.venue_code, len(doubt.message)) == (False, denied, str(status), 200)
    assert unread(Response(200, {}, b""), "no permission", code="ERR-5012", denied=True).denied


@given(st.lists(st.tuples(st.lists(st.integers(0, 99), max_size=4), st.sampled_from([",", "", "?", "!"])), min_size=1))
def test_only_an_unbroken_chain_of_pages_is_whole(pages: list[tuple[list[int], str]]) -> None:
    """Whatever the pages are: whole means that every page was answered and the last one said it was the last."""
    bodies: list[str | int] = []
    for rows, end in pages:
        bodies.append(502 if end == "!" else ",".join(map(str, rows)) + end)
        if end != ",":
            break
    else:
        bodies.append("")
    bodies = bodies[:20]
    listed = read(*bodies)
    ended = len(bodies) < 20 or not str(bodies[-1]).endswith(",")
    assert isinstance(listed, Whole) == (ended and 502 not in bodies and not str(bodies[-1]).endswith("?"))
