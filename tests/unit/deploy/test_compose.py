"""deploy/compose.yaml: valid, and everything that it mounts is there and fits together."""

import asyncio
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.setup import ROOT
from router.config import load
from router.simulator import Simulators

DEPLOY = ROOT / "deploy"
FILE = DEPLOY / "compose.yaml"


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """Return the file as Compose reads it."""
    found: dict[str, Any] = yaml.safe_load(FILE.read_text())
    return found


def test_the_schema_of_compose_takes_it() -> None:
    """The one that check-jsonschema brings."""
    program = Path(sys.executable).with_name("check-jsonschema")
    done = subprocess.run(
        [program, "--builtin-schema", "vendor.compose-spec", FILE], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_every_file_that_is_mounted_is_there(compose: dict[str, Any]) -> None:
    """Compose would make an empty folder in its place."""
    volumes = [it for service in compose["services"].values() for it in service.get("volumes", [])]
    mounted = [it.partition(":")[0] for it in volumes if it.startswith(".")]
    mounted += [it["file"] for it in compose["configs"].values()]
    assert len(mounted) == 6
    assert [it for it in mounted if not (DEPLOY / it).exists()] == []
    named = {it.partition(":")[0] for it in volumes if not it.startswith(".")}
    assert named == set(compose["volumes"])


def test_nothing_listens_beyond_this_machine(compose: dict[str, Any]) -> None:
    """Its passwords are in the file."""
    ports = [it for service in compose["services"].values() for it in service.get("ports", [])]
    assert len(ports) == 5
    assert [it for it in ports if not it.startswith("127.0.0.1:")] == []


def test_our_containers_can_do_little(compose: dict[str, Any]) -> None:
    """As in the chart: a read-only root, no capability, and a grace that is longer than the drain."""
    config = load(DEPLOY / "compose/router.toml", {})
    for name in ("simulators", "worker", "feed"):
        service = compose["services"][name]
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
    for name in ("worker", "feed"):
        grace = re.fullmatch(r"(\d+)s", compose["services"][name]["stop_grace_period"])
        assert grace
        assert int(grace[1]) >= config.worker.drain_timeout_s + 10


def test_the_router_is_led_to_the_simulators() -> None:
    """Venues, accounts and keys are those that the simulators have."""

    async def offered() -> dict[str, Any]:
        async with Simulators() as simulators:
            return simulators.config()

    found = tomllib.loads((DEPLOY / "compose/router.toml").read_text())
    expected = asyncio.run(offered())
    assert found["accounts"] == expected["accounts"]
    for venue, number in zip(sorted(expected["venues"]), range(9471, 9475), strict=True):
        for key, url in expected["venues"][venue].items():
            assert found["venues"][venue][key] == re.sub(r"127\.0\.0\.1:\d+", f"simulators:{number}", url)


def test_the_broker_and_the_journal_are_those_beside_it(compose: dict[str, Any]) -> None:
    """Names and passwords agree."""
    found = tomllib.loads((DEPLOY / "compose/router.toml").read_text())
    broker, journal = (compose["services"][name]["environment"] for name in ("rabbitmq", "postgresql"))
    user, password = broker["RABBITMQ_DEFAULT_USER"], broker["RABBITMQ_DEFAULT_PASS"]
    assert found["broker"]["url"] == f"amqp://{user}:{password}@rabbitmq:5672/"
    user, password = journal["POSTGRES_USER"], journal["POSTGRES_PASSWORD"]
    assert found["journal"]["url"] == f"postgresql://{user}:{password}@postgresql/{journal['POSTGRES_DB']}"


def test_prometheus_takes_its_configuration(tmp_path: Path, compose: dict[str, Any]) -> None:
    """With the rules where they are mounted; it scrapes the port that the configuration opens."""
    text = (DEPLOY / "compose/prometheus.yml").read_text()
    (tmp_path / "rules.yaml").write_text((DEPLOY / "prometheus/rules.yaml").read_text())
    (tmp_path / "prometheus.yml").write_text(text.replace("/etc/prometheus/rules.yaml", "rules.yaml"))
    command = ["promtool", "check", "config", str(tmp_path / "prometheus.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "SUCCESS" in done.stdout
    (job,) = yaml.safe_load(text)["scrape_configs"]
    assert set(job["dns_sd_configs"][0]["names"]) <= set(compose["services"])
    assert job["dns_sd_configs"][0]["port"] == load(DEPLOY / "compose/router.toml", {}).http.port


def test_the_charts_rules_are_these() -> None:
    """A chart cannot read what is beside it: `make rules` copies them."""
    assert (DEPLOY / "chart/files/rules.yaml").read_text() == (DEPLOY / "prometheus/rules.yaml").read_text()


def test_grafana_finds_prometheus_and_the_dashboards(compose: dict[str, Any]) -> None:
    """By the service's name, and where the folder is mounted."""
    (source,) = yaml.safe_load((DEPLOY / "compose/grafana/datasources/prometheus.yaml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    (provider,) = yaml.safe_load((DEPLOY / "compose/grafana/dashboards/order-router.yaml").read_text())["providers"]
    assert f"../grafana:{provider['options']['path']}:ro" in compose["services"]["grafana"]["volumes"]
