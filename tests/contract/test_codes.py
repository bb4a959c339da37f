"""Every row of every venue's tables against the code: `tests/fixtures/<venue>/codes.json` is the one place they stand.

A row names a code, and per command the class that the venue's document, or our reading of it, gives it:

    FINAL    refused for good                       OPS     the same, and an operator must mend it
    RETRY    proven not processed                   HOLD    the market is closed: a close ends, a cancel waits
    VERIFY   only a read can tell, or a refusal that an earlier send makes doubtful
    DONE     the goal holds                         EXISTS  our own earlier order: look
    AMBIG    it may have been executed              -       no answer to that command, so nothing is proven
"""

import json
from collections.abc import Iterator
from typing import Any, Final

import pytest

from router.venue_protocol import Done, Look, Outcome, Refused, Response, Retry, Unknown
from router.venues import names
from tests.contract.golden import FIXTURES, goldens, new_adapter

ALLOWED: Final[dict[str, tuple[type[Outcome], ...]]] = {
    "FINAL": (Refused,),
    "OPS": (Refused,),
    "RETRY": (Retry,),
    "HOLD": (Refused, Retry),
    "VERIFY": (Look, Refused),
    "DONE": (Done,),
    "EXISTS": (Look,),
    "AMBIG": (Unknown,),
    "-": (Unknown,),
}
COMMANDS: Final = {f"{case.venue}-{case.folder.name.partition('_')[0]}": case.command() for case in goldens()}


def rows() -> Iterator[Any]:
    """Return every cell of every table: venue, command, the answer that shows the code, and its class."""
    for venue in names():
        table = json.loads((FIXTURES / venue / "codes.json").read_bytes())
        for row in table["rows"]:
            for kind in ("close", "preview", "cancel"):
                if kind in row:
                    yield pytest.param(venue, kind, table, row, id=f"{venue}-{kind}-{row['code']}-{row.get('message')}")


def answer(table: dict[str, Any], kind: str, row: dict[str, Any]) -> Response:
    """Return the venue's answer with a row's code in it."""
    body = row.get("body") or table.get("bodies", {}).get(kind) or table["body"]
    for name, text in (("<message>", row.get("message", "")), ("<code>", row["code"]), ("<order>", ORDER)):
        body = body.replace(name, text)
    return Response(row.get("status", table["status"]), {}, body.encode())


ORDER: Final = str(getattr(COMMANDS["coinbase-cancel"], "order_id", ""))


@pytest.mark.parametrize(("venue", "kind", "table", "row"), list(rows()))
def test_every_row_of_the_tables_is_what_the_code_does(
    venue: str, kind: str, table: dict[str, Any], row: dict[str, Any]
) -> None:
    """A class is never softened: what may have been executed is `Unknown`, what was not is told with its words."""
    command = COMMANDS[f"{venue}-{'cancel' if kind == 'cancel' else 'close'}"]
    outcome = new_adapter(venue, {}).verdict(command, answer(table, kind, row))
    klass = row[kind]
    assert isinstance(outcome, ALLOWED[klass]), outcome
    if klass == "HOLD":
        assert isinstance(outcome, Refused if kind != "cancel" else Retry)
        assert outcome.code == "market_closed"
    if klass == "OPS":
        assert isinstance(outcome, Refused)
        assert outcome.alert
    if isinstance(outcome, Refused | Retry):
        assert outcome.venue_code
        assert outcome.message or venue in {"coinbase", "nami"}, "the sender reads the venue's words"


@pytest.mark.parametrize("venue", names())
def test_a_table_names_its_source(venue: str) -> None:
    """Nobody can check a class against nothing."""
    table = json.loads((FIXTURES / venue / "codes.json").read_bytes())
    assert "http" in table["source"]
    assert len(table["rows"]) > 20
