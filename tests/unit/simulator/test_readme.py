"""The page that explains the simulators' control names all that the control knows."""

import re
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from router.simulator import control
from router.simulator.faults import Fault, Malformed, What
from router.simulator.feed import FeedFault
from router.simulator.feed.faults import Do
from router.simulator.ledger import Entry
from router.simulator.market import Move
from router.simulator.seeds import OrderSeed, PositionSeed
from router.simulator.venues import names, simulator_type

PAGE = (Path(control.__file__).parent / "README.md").read_text()
CODE = {word for quoted in re.findall(r"`([^`\n]+)`", PAGE) for word in re.findall(r"[\w-]+", quoted)}


def section(title: str) -> str:
    """Return one section of the page."""
    return re.split(r"^## ", PAGE.partition(f"## {title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def rows(title: str) -> set[str]:
    """Return the first words in code of a section's table rows; a row may name several."""
    cells = re.findall(r"^\| ((?:`\w+`(?:, )?)+)", section(title), re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}


def test_every_fault_of_requests_and_every_field_has_its_row() -> None:
    """And nothing has one that is not there."""
    known = set(get_args(What)) | (set(Fault.__struct_fields__) - {"what"})
    assert rows("Faults of requests") - {"what", "field"} == known
    assert set(get_args(Malformed)) <= CODE


def test_every_fault_of_the_feeds_and_every_field_has_its_row() -> None:
    """And nothing has one that is not there."""
    known = set(get_args(Do)) | (set(FeedFault.__struct_fields__) - {"do"})
    assert rows("Faults of the private feeds") - {"do", "field"} == known


def test_every_route_has_its_row() -> None:
    """As the server has it."""
    simulator = simulator_type("nami")()
    routes = {f"{route.method} {route.path}" for route in control.Control(simulator).routes()}
    assert set(re.findall(r"^\| `((?:GET|POST|DELETE) [\w/]+)`", PAGE, re.MULTILINE)) == routes


@pytest.mark.parametrize("kind", [Move, OrderSeed, PositionSeed, control.AccountSeed, control.Clock])
def test_every_field_of_what_the_routes_take_is_named(kind: type[msgspec.Struct]) -> None:
    """In code, where somebody looks for it."""
    assert set(kind.__struct_fields__) <= CODE


@pytest.mark.parametrize("venue", names())
def test_every_switch_is_named(venue: str) -> None:
    """In its venue's row, or in the row of all."""
    known = re.findall(rf"^\| (?:all|{venue}) \| (.*) \|$", section("Switches"), re.MULTILINE)
    assert set(simulator_type(venue).behaviour_type.__struct_fields__) == set(re.findall(r"`(\w+)`", " ".join(known)))


@pytest.mark.parametrize(
    "command", sorted(set(re.findall(r"^order-router dev fault (\S+ .*?)(?: +#.*)?$", PAGE, re.MULTILINE)))
)
def test_the_examples_are_faults(command: str) -> None:
    """Each names a venue that there is, and a fault that the control would take."""
    venue, what, *fields = command.split()
    given = {"what": what} | dict(field.split("=") for field in fields)
    assert venue in names()
    fault = msgspec.convert(given, Fault, strict=False)
    endpoints = simulator_type(venue)().endpoints()
    assert fault.on in {"any"} | {point.action for point in endpoints} | {point.name for point in endpoints}


def test_the_example_of_the_ledger_asks_for_what_entries_have() -> None:
    """A field that no entry has would be refused."""
    (kind,) = re.findall(r"/_sim/ledger\?(\w+)=", PAGE)
    assert kind in Entry.__struct_fields__
