"""Rows 19 to 23: what a venue and the way to it can do to one request."""

from typing import Any

import pytest

from tests.faults.trial import Trial

EXECUTED = {"when": "after"}
UNTOUCHED = {"when": "before"}
BROKEN_ANSWERS: dict[str, dict[str, Any]] = {
    "reset after headers": {"what": "reset_after_headers"},
    "truncated body": {"what": "truncate"},
    "200 with HTML": {"what": "malformed", "body": "html"},
    "wrong content type": {"what": "malformed", "body": "content_type"},
    "gzip bomb": {"what": "malformed", "body": "gzip_bomb"},
    "cut JSON": {"what": "malformed", "body": "truncated"},
    "empty": {"what": "malformed", "body": "empty"},
    "not UTF-8": {"what": "malformed", "body": "not_utf8"},
    "nested too deep": {"what": "malformed", "body": "deep"},
}


@pytest.mark.parametrize("fault", BROKEN_ANSWERS.values(), ids=BROKEN_ANSWERS)
async def test_an_unreadable_answer_is_in_doubt_until_a_look_settles_it(one: Trial, fault: dict[str, Any]) -> None:
    """Row 20: a close whose answer cannot be read was sent once, and what the venue shows is the answer."""
    await one.worker()
    one.inject(on="close", **EXECUTED, **fault)
    result = await one.ask(one.close())
    assert result["outcome"] == "accepted", result
    assert len(one.ledger("fault")) == 1
    await one.judge()
