"""GMO Coin counts subscriptions per address: one a second, over all accounts."""

from pathlib import Path
from typing import Any

import pytest

from tests.integration.feeds.listening import Feeding, Topic, only
from tests.sender import Sender
from tests.stack import stack

pytestmark = [pytest.mark.integration]


async def test_subscriptions_keep_the_pace_of_the_address(tmp_path: Path, rabbitmq: Any) -> None:
    """Two accounts, fed by two processes, subscribe six channels and are never told that it was too fast."""
    async with stack(tmp_path, rabbitmq.url) as whole:
        gmo = whole.simulators.venues["gmo_coin"]
        gmo.add_account("two", api_key="second-key", api_secret="second-secret")
        whole.config["accounts"] = whole.simulators.config()["accounts"]
        only(whole, "gmo_coin")
        accounts = whole.config["accounts"]["gmo_coin"]
        async with Topic(whole.broker_url, whole.prefix) as topic, Sender(whole.broker_url, whole.prefix) as sender:
            feeding = Feeding(whole, topic, sender)
            for name in ("main", "two"):
                whole.config["accounts"]["gmo_coin"] = {name: accounts[name]}
                await whole.worker(command=("feed",))
            for name in ("main", "two"):
                await feeding.until(lambda name=name: "live" in topic.statuses("gmo_coin", name), within_s=30)  # type: ignore[misc]  # mypy cannot type the default
        said = [entry.note for entry in gmo.ledger.select("feed")]
    assert sum(note.startswith("subscribed") for note in said) == 6
    assert not [note for note in said if note.startswith("ERR-")]
