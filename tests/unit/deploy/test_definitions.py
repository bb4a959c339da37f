"""What deploy/rabbitmq/definitions.json is made of; tests/integration/deploy shows what it does."""

import re
from pathlib import Path

import pytest

from deploy.rabbitmq.definitions import definitions, routing_keys
from deploy.rabbitmq.render import HERE, render
from router.config import SenderPolicy

POLICY = SenderPolicy(accounts=("gmo_coin/main", "nami/a-b"), commands=("close", "cancel"))


def test_the_file_is_what_its_source_says() -> None:
    """`make definitions` writes it."""
    assert (HERE / "definitions.json").read_text() == render(HERE / "senders.example.toml")


@pytest.mark.parametrize("name", ["order-router", "order-router-keda", "orders", "amq", "a.b", "a b", "", "é"])
def test_a_sender_takes_nobody_elses_name(name: str) -> None:
    """`orders.results` must not become a sender's queue, nor a pattern somebody's name."""
    with pytest.raises(ValueError, match="senders"):
        definitions("orders", {name: POLICY})


@pytest.mark.parametrize("key", ["gmo_coin.main.close", "gmo_coin.main.cancel", "nami.a-b.close"])
def test_its_routing_keys(key: str) -> None:
    """Account and type."""
    assert re.search(routing_keys(POLICY), key)


@pytest.mark.parametrize(
    "key", ["gmo_coin.main.close_all", "gmo_coin.mainx.close", "xgmo_coin.main.close", "gmo_coinxmain.close", "#", ""]
)
def test_no_other_routing_keys(key: str) -> None:
    """A dot is a dot, and the whole key counts."""
    assert not re.search(routing_keys(POLICY), key)


def test_a_configuration_is_read_without_its_secrets(tmp_path: Path) -> None:
    """The files that a worker's configuration names need not be there."""
    file = tmp_path / "order-router.toml"
    file.write_text(
        '[broker]\nprefix = "cell1"\n[accounts.gmo_coin.main]\napi_key_file = "/nowhere"\n'
        '[senders.gamma]\naccounts = ["gmo_coin/main"]\n'
    )
    text = render(file)
    assert '"cell1.commands"' in text
    assert '"gamma.results"' in text


def test_a_mistake_is_said(tmp_path: Path) -> None:
    """A sender without accounts is none."""
    file = tmp_path / "order-router.toml"
    file.write_text("[senders.gamma]\n")
    with pytest.raises(ValueError, match="accounts"):
        render(file)
