"""A journal of an earlier version is brought up to date, whatever stands in its rows."""

import pytest

from router.journal import Filter, Unreadable, open_journal
from router.journal.schema import migrations
from tests.journal_place import Place

pytestmark = pytest.mark.integration

OLD = 5
REPLY = '{"reply_to":"q","correlation_id":"x","content_type":"application/json"}'
ROW = """insert into commands (command_id, sender, digest, venue, account, action, state, version, received_us,
    updated_us, reply, asked, joined, job)
    values ('c', '', '', 'gmo_coin', 'main', 'close', 'open', 1, 1, 1, '{reply}', 1, 0, '{job}')"""
ID = "3f0d3ad2-8c1e-4b58-9d0f-0a4a3f2f7a11"


@pytest.mark.parametrize(
    ("job", "known"),
    [
        ("", None),
        ("{not json", None),
        ('{"params":{"x":"\\u0000"}}', None),
        (f'{{"params":{{"x":"\\u0000"}},"client_order_id":"{ID}"}}', ID),
    ],
)
async def test_a_row_that_cannot_be_read_stops_no_upgrade(
    place: Place, monkeypatch: pytest.MonkeyPatch, job: str, known: str | None
) -> None:
    """It is set aside as ever; what it says of its client order id is found all the same."""
    every = migrations.scripts()
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "scripts", lambda: tuple(script for script in every if script[0] <= OLD))
        async with await open_journal(place.url):
            pass
    await place.sql(ROW.format(reply=REPLY, job=job))
    async with await open_journal(place.url) as journal:
        (row,) = await journal.listing(Filter())
        assert isinstance(row, Unreadable)
    ((stored,),) = await place.sql("select client_order_id from commands")
    assert stored == known
