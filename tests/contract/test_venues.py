"""What every venue promises, whichever it is: golden requests and outcomes, and no exception whatever the bytes."""

import importlib
import inspect
import json
import re
from collections.abc import Generator, Sequence
from functools import cache
from itertools import cycle
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.venue_protocol import (
    Accepted,
    Attempt,
    Done,
    LookOutcome,
    Outcome,
    Refused,
    Request,
    Response,
    Unknown,
    VenueAdapter,
    Working,
)
from router.venues import adapter_type, names
from schemas.commands import Cancel, Close, Command
from tests.contract.golden import FILES, FIXTURES, Golden, goldens, new_adapter, outcome_fields, request_fields

CASES = tuple(goldens())
MOST_READS = 500

each_venue = pytest.mark.parametrize("venue", names())
each_case = pytest.mark.parametrize("case", CASES, ids=str)


def cases_of(venue: str) -> list[Golden]:
    """Return the golden cases of one venue."""
    return [case for case in CASES if case.venue == venue]


@each_venue
def test_a_venue_has_golden_cases_with_a_source(venue: str) -> None:
    """A file in router/venues/ is no venue before documents prove it."""
    cases = cases_of(venue)
    assert cases, f"{FIXTURES / venue} holds no case"
    for case in cases:
        missing = [name for name in FILES if not (case.folder / f"{name}.json").is_file()]
        assert not missing, f"{case}: {missing}"
        assert case.sources(), f"{case}: no source"
        assert case.command().venue == venue


def test_every_golden_case_belongs_to_a_venue() -> None:
    """No fixture folder outlives its venue."""
    assert {case.venue for case in CASES} <= set(names())


@each_case
def test_the_signed_request_is_golden(case: Golden, bless: bool) -> None:
    """A command becomes exactly the bytes that the venue's documents show."""
    found = request_fields(case.signed(case.adapter()))
    if bless:
        case.bless("request", found)
    known = case.read("request")
    assert found == {name: known[name] for name in found}


@each_case
def test_the_verdict_is_golden(case: Golden, bless: bool) -> None:
    """The venue's answer means what its documents say."""
    found = case.adapter().verdict(case.command(), case.response())
    if bless:
        case.bless("outcome", outcome_fields(found))
    assert found == case.outcome()


@each_case
def test_a_request_draws_only_from_limits_that_exist(case: Golden) -> None:
    """A request without a known limit would never be held back."""
    adapter = case.adapter()
    scopes = set(case.built(adapter).scopes)
    assert scopes
    assert scopes <= {limit.scope for limit in adapter.limits}


@each_case
def test_a_signed_request_shows_no_secret(case: Golden) -> None:
    """Neither the secret nor a bearer header gets into a log through repr."""
    signed = case.signed(case.adapter())
    secrets = msgspec.convert(case.read("request")["secrets"], case.adapter().secrets_type)
    shown = repr(signed) + repr(secrets)
    assert secrets.api_secret not in signed.url + str(signed.headers) + signed.body.decode()
    assert not [value for value in (*signed.headers.values(), secrets.api_secret) if len(value) > 20 and value in shown]


@each_venue
def test_a_venue_describes_itself(venue: str) -> None:
    """Its class says its own name, has options that need no configuration, and positive limits."""
    found = adapter_type(venue)
    assert found.venue == venue
    assert msgspec.convert({}, found.options_type).rest_url.startswith("https://")
    assert found.limits
    assert all(limit.count > limit.cancels_only >= 0 and limit.period_s > 0 for limit in found.limits)
    assert set(found.params_types) <= {"close", "cancel", "close_all", "cancel_all"}


@each_venue
def test_a_repeated_build_is_the_same_request(venue: str) -> None:
    """What is built twice, by two pods, is equal, and a cancel may go twice."""
    for case in cases_of(venue):
        adapter = case.adapter()
        assert case.built(adapter) == case.built(adapter)
        assert isinstance(case.command(), Close) or adapter.repeatable(case.command())


# Any bytes at all. Words of the venue's own fixtures get the noise past the first check.

ODD_BODIES = [
    b"",
    b"null",
    b"0",
    b"[]",
    b"{}",
    b'"\\ud800"',
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"data":' * 50_000,
    b'{"status":' + b"9" * 5_000 + b"}",
    b'{"code":-' + b"9" * 4_200 + b',"success":true,"status":-' + b"9" * 4_200 + b"}",
    b'{"status":0,"data":1e999999}',
    b"<html><body>502 Bad Gateway</body></html>",
]


@cache
def words_of(venue: str) -> list[str]:
    """Return every key and value that the venue's golden answers hold."""
    bodies = "".join(case.read("response")["body"] for case in cases_of(venue))
    return sorted(set(re.findall(r'"((?:[^"\\]){1,60})"', bodies)) | {"list", "data", "id", "status", "order"})


@cache
def documents(venue: str) -> st.SearchStrategy[Any]:
    """Draw JSON that is made of the venue's own words, of the wrong shape more often than not."""
    words = words_of(venue)
    numbers = st.integers(-(2**70), 2**70) | st.sampled_from([0, 1, 200, 637000]) | st.floats(allow_nan=False)
    leaves = st.none() | st.booleans() | numbers | st.sampled_from(words) | st.text(max_size=8)
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(words), inner, max_size=6),
        max_leaves=12,
    )


@st.composite
def edited(draw: st.DrawFn, venue: str) -> Any:
    """Draw a golden answer with one of its parts replaced or taken out."""
    document = json.loads(draw(st.sampled_from(json_bodies(venue))))
    part = document
    while isinstance(part, dict | list) and part:
        key: Any = draw(st.sampled_from(list(part) if isinstance(part, dict) else range(len(part))))
        if not isinstance(part[key], dict | list) or draw(st.booleans()):
            if draw(st.booleans()) and isinstance(part, dict):
                del part[key]
            else:
                part[key] = draw(documents(venue))
            break
        part = part[key]
    return document


@cache
def json_bodies(venue: str) -> list[str]:
    """Return the golden answers that are JSON."""
    bodies = [case.read("response")["body"] for case in cases_of(venue)]
    return [body for body in bodies if body.lstrip()[:1] in {"{", "["}]


@cache
def responses(venue: str) -> st.SearchStrategy[Response]:
    """Draw an answer: any status, headers and bytes."""
    names = st.sampled_from(["retry-after", "date", "content-type", "x-ratelimit-reset"]) | st.text(max_size=6)
    values = st.sampled_from(["1", "Sat, 21 Nov 2026 12:00:00 GMT", "9" * 400, "-1", "٣"]) | st.text(max_size=20)
    shaped = (documents(venue) | edited(venue)).map(lambda value: json.dumps(value).encode())
    bodies = st.binary(max_size=60) | st.sampled_from(ODD_BODIES) | shaped
    return st.builds(
        Response,
        st.sampled_from([200, 200, 400, 401, 404, 429, 500, 503]) | st.integers(0, 999),
        st.dictionaries(names, values, max_size=3),
        bodies,
    )


attempts = st.builds(
    Attempt,
    client_order_id=st.just("0f9e2c1a-6b5d-5c3e-9a47-2d8f6b1c0e35"),
    sent_ms=st.sampled_from([0, 1_700_000_000_000, 4_102_444_800_000]),
    now_ms=st.sampled_from([0, 1_700_000_001_000, 4_102_444_800_000]),
    window_ms=st.sampled_from([0, 60_000]),
    unanswered=st.booleans(),
    order_id=st.sampled_from([None, "637000", "x", "9" * 64]),
    venue_code=st.sampled_from([None, "ERR-254", "ERR-151", "ORDER_COULD_NOT_BE_CANCELED", ""]),
    taken=st.sampled_from([frozenset(), frozenset({"637000"})]),
)


def attempt() -> Attempt:
    """Return what is known of a command that was sent a while ago and never answered."""
    return Attempt(client_order_id="x", sent_ms=1_700_000_000_000, now_ms=1_700_000_200_000)


def drive(
    flow: Generator[Request, Response, LookOutcome], answers: Sequence[Response], adapter: VenueAdapter
) -> LookOutcome:
    """Feed a lookup these answers, over and over, until it ends."""
    scopes = {limit.scope for limit in adapter.limits}
    try:
        request = next(flow)
        for reads, answer in enumerate(cycle(answers)):
            assert request.method == "GET"
            assert set(request.scopes) <= scopes
            assert reads < MOST_READS, "the lookup never ends"
            request = flow.send(answer)
    except StopIteration as stop:
        found: LookOutcome = stop.value
        return found
    raise AssertionError("unreachable")


@cache
def commands_of(venue: str) -> list[Command]:
    """Return the distinct commands of a venue's golden cases."""
    return list({msgspec.json.encode(case.command()): case.command() for case in cases_of(venue)}.values())


@each_venue
@given(data=st.data())
@settings(deadline=None, max_examples=150)
def test_a_verdict_survives_any_answer(venue: str, data: st.DataObject) -> None:
    """Whatever comes back, a verdict is an outcome that can be stored; a gateway's error is never a success."""
    adapter = new_adapter(venue, {})
    command = data.draw(st.sampled_from(commands_of(venue)), label="command")
    response = data.draw(responses(venue), label="response")
    outcome = adapter.verdict(command, response)
    assert isinstance(outcome, get_args(Outcome))
    assert len(msgspec.json.encode(outcome)) < 4_000
    if response.status >= 500 or response.body in ODD_BODIES:
        assert not isinstance(outcome, Accepted | Done)


@each_venue
@given(data=st.data())
@settings(deadline=None, max_examples=150)
def test_a_lookup_survives_any_answers(venue: str, data: st.DataObject) -> None:
    """Whatever its reads bring, a lookup ends, reads only, and says something that can be stored."""
    adapter = new_adapter(venue, {})
    command = data.draw(st.sampled_from(commands_of(venue)), label="command")
    attempt = data.draw(attempts, label="attempt")
    answers = data.draw(st.lists(responses(venue), min_size=1, max_size=4), label="answers")
    sight = drive(adapter.lookup(command, attempt), answers, adapter)
    assert isinstance(sight, get_args(LookOutcome))
    assert len(msgspec.json.encode(sight)) < 4_000
    assert not (isinstance(command, Close) and isinstance(sight, Working)), "only a cancel has a working order"


@each_venue
@given(data=st.data())
@settings(deadline=None, max_examples=50)
def test_a_probe_survives_any_answer(venue: str, data: st.DataObject) -> None:
    """Whatever comes back, a probe says what it is told of the key, or why not; a gateway's error is never health."""
    adapter = new_adapter(venue, {})
    response = data.draw(responses(venue), label="response")
    flow = adapter.probe()
    found: Refused | str | None = None
    try:
        next(flow)
        for _ in range(MOST_READS):
            flow.send(response)
    except StopIteration as stop:
        found = stop.value
    assert isinstance(found, Refused | str)
    assert isinstance(found, Refused) or response.status < 500


@each_venue
def test_a_probe_makes_every_read_that_there_is(venue: str) -> None:
    """A key that lacks one is found out at the start, and by `order-router check --online`, not in a doubt."""
    package = f"router.venues.{venue}"
    requests, reads = (importlib.import_module(f"{package}.{name}") for name in ("requests", "reads"))
    builders = {
        name
        for name, function in inspect.getmembers(requests, inspect.isfunction)
        if function.__module__ == requests.__name__
        and not name.startswith("_")
        and inspect.signature(function).return_annotation is Request
    }
    assert builders
    assert builders <= set(re.findall(r"(\w+)\(", inspect.getsource(reads.probe)))


NOT_WHOLE = [
    Response(200, {}, b""),
    Response(200, {}, b"<html>"),
    Response(200, {}, b'{"error":"INTERNAL","orders":[],"fills":[],"positions":[],"has_next":false}'),
    Response(200, {}, b'{"orders":[],"fills":[],"positions":[],"has_next":false,"proof_token_required":true}'),
    Response(200, {}, b'{"orders":[],"fills":[],"has_next":true,"cursor":""}'),
    Response(200, {}, b'{"status":"BROKER_ERROR","code":6104,"data":{"requestId":"x"},"message":null}'),
    Response(200, {}, b'{"statusCode":500,"message":"Internal server error"}'),
    Response(200, {}, b'{"success":true,"message":"Unauthorized - Invalid Nonce","code":1037,"data":[]}'),
    Response(200, {}, b'{"status":4,"messages":[{"message_code":"ERR-5003","message_string":"too many"}]}'),
    Response(200, {}, b'{"status":0}'),
    Response(401, {}, b""),
    Response(403, {}, b"<html>"),
    Response(429, {}, b"{}"),
    *(Response(status, {}, b"<html>") for status in (500, 502, 503, 504)),
]


@each_venue
@given(data=st.data())
@settings(deadline=None, max_examples=60)
def test_a_lookup_concludes_nothing_from_a_list_that_is_not_whole(venue: str, data: st.DataObject) -> None:
    """A look of which no read was whole is `Unknown`, says so, and names a key that may not read."""
    adapter = new_adapter(venue, {})
    command = data.draw(st.sampled_from(commands_of(venue)), label="command")
    answer = data.draw(st.sampled_from(NOT_WHOLE), label="answer")
    asks = next(adapter.lookup(command, attempt()), None) is not None if isinstance(command, Cancel) else True
    sight = drive(adapter.lookup(command, attempt()), [answer], adapter)
    assert isinstance(sight, Unknown), sight
    assert not asks or not sight.whole
    assert sight.denied or answer.status not in {401, 403} or not asks
