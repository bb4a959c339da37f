"""The folder of the development server: what is kept in it, and what is never written over."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from router.config import Config
from router.demo.dev_folder import DevFolder, overriding
from router.errors import ConfigError, UserError
from router.simulator import Simulators
from router.simulator.venues import names

BROKER = "amqp://guest:guest@127.0.0.1:5673/"


@pytest.fixture
def folder(tmp_path: Path) -> DevFolder:
    """A folder that is not there yet, with a space and a percent sign in its name."""
    return DevFolder(tmp_path / "my 100% dev")


def configured(folder: DevFolder, first: int = 9471, http: int = 9464) -> Config:
    """Bring the file up to date, with the venues on ports from `first` on."""
    simulators = Simulators(ports={name: first + number for number, name in enumerate(names())})
    return folder.configured(simulators.config(), broker_url=BROKER, http_port=http)


def read(folder: DevFolder) -> dict[str, Any]:
    """Return what stands in the file."""
    return tomllib.loads(folder.config_file.read_text())


def test_the_file_leads_to_everything_and_only_we_can_read_it(folder: DevFolder) -> None:
    """Its paths are absolute, for commands from anywhere."""
    with folder.locked():
        config = configured(folder)
    assert config.broker.url == BROKER
    assert config.http.port == 9464
    assert {name: options.rest_url.split("/")[2] for name, options in config.venues.items()} == {
        "btcturk": "127.0.0.1:9471", "coinbase": "127.0.0.1:9472",
        "gmo_coin": "127.0.0.1:9473", "nami": "127.0.0.1:9474",
    }  # fmt: skip
    assert config.accounts.keys() == config.venues.keys()
    assert config.journal.url == f"sqlite:///{str(folder.path).replace('%', '%25').replace(' ', '%20')}/journal.db"
    assert folder.config_file.stat().st_mode & 0o777 == 0o600
    assert folder.path.stat().st_mode & 0o777 == 0o700
    assert (folder.path / ".gitignore").read_text() == "*\n"


def test_what_is_added_by_hand_stays(folder: DevFolder) -> None:
    """To the letter while nothing of ours changes, and as values when a port does."""
    with folder.locked():
        configured(folder)
        text = folder.config_file.read_text().replace("drain_timeout_s = 3.0", "drain_timeout_s = 7.0  # mine")
        text += '\n[senders.alpha]\naccounts = ["gmo_coin/main"]\n'
        folder.config_file.write_text(text)
        assert configured(folder).worker.drain_timeout_s == 7.0
        assert folder.config_file.read_text() == text
        moved = configured(folder, first=9500, http=9600)
    assert (moved.worker.drain_timeout_s, moved.http.port) == (7.0, 9600)
    assert moved.senders["alpha"].accounts == ("gmo_coin/main",)
    assert moved.venues["btcturk"].rest_url == "http://127.0.0.1:9500"
    assert read(folder)["senders"] == {"alpha": {"accounts": ["gmo_coin/main"]}}


def test_the_environment_does_not_lead_elsewhere(folder: DevFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable for production would let simulators answer real commands. It is named, for it beats the file."""
    monkeypatch.setenv("ORDER_ROUTER_BROKER__URL", "amqp://production/")
    monkeypatch.setenv("ORDER_ROUTER_CONFIG", "production.toml")
    with folder.locked():
        assert configured(folder).broker.url == BROKER
    assert overriding() == ["ORDER_ROUTER_BROKER__URL"]


def test_a_folder_with_other_files_is_not_touched(tmp_path: Path) -> None:
    """Its configuration may lead to real venues."""
    (tmp_path / "order-router.toml").write_text("[accounts.gmo_coin.main]\n")
    with pytest.raises(UserError, match="holds other files; give --dir"), DevFolder(tmp_path).locked():
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["order-router.toml"]


def test_one_server_at_a_time(folder: DevFolder) -> None:
    """And the next one once it has gone."""
    with folder.locked(), pytest.raises(UserError, match="another `order-router dev` runs in"), folder.locked():
        pass
    with folder.locked():
        pass


def test_a_file_that_cannot_be_read_is_a_configuration_error(folder: DevFolder) -> None:
    """It is neither written over nor guessed at; the same for a key that nobody knows."""
    with folder.locked():
        configured(folder)
        good = folder.config_file.read_text()
        for bad, said in ((f"{good}[worker", "order-router.toml: "), (f"{good}[worker2]\n", "worker2")):
            folder.config_file.write_text(bad)
            with pytest.raises(ConfigError, match=said):
                configured(folder)
            assert folder.config_file.read_text() == bad


def test_starts_are_counted_and_the_last_log_is_put_aside(folder: DevFolder) -> None:
    """A counter that was damaged begins anew."""
    with folder.locked():
        assert [folder.next_start() for _ in range(3)] == [0, 1, 2]
        (folder.path / "starts").write_text("x")
        assert folder.next_start() == 0
        folder.new_log().write_text("first")
        folder.new_log().write_text("second")
    assert folder.log.read_text() == "second"
    assert (folder.path / "order-router.log.1").read_text() == "first"
