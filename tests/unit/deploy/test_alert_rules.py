"""The alert rules: written from their source, tested by promtool, explained in the runbook."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
import yaml

from deploy.prometheus.alerts import CLOSED, GROUPS, OURS, SENDERS, Alert
from deploy.prometheus.render import RULES, anchor, render
from grafana.dashboards import FRAMES
from grafana.panels import dashboard
from router.cli import app
from router.telemetry import Metrics
from router.telemetry.metrics import NONE
from schemas.results import ReasonCode

FOLDER = RULES.parent
RUNBOOK = FOLDER.with_name("runbook.md")
ALERTS = [alert for group in GROUPS.values() for alert in group]
TESTS: list[dict[str, Any]] = yaml.safe_load((FOLDER / "rules_test.yaml").read_text())["tests"]
NAMES = [alert.name for alert in ALERTS]


def sections() -> dict[str, str]:
    """Return the runbook's sections by their title."""
    parts = re.split(r"^## (.+)$", RUNBOOK.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def run(*command: str) -> str:
    """Run a program of Prometheus in the rules' folder; what it says is what fails the test."""
    if shutil.which(command[0]) is None:
        pytest.fail(f"{command[0]} is missing: python3 deploy/ensure.py prometheus alertmanager")
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_rules_are_what_their_source_says() -> None:
    """`make rules` has been run."""
    assert RULES.read_text() == render()


def test_promtool_and_amtool_find_nothing_wrong() -> None:
    """The files are what a server takes."""
    run("promtool", "check", "rules", "rules.yaml")
    run("amtool", "check-config", "alertmanager.yaml")


def test_promtool_runs_the_unit_tests() -> None:
    """Each alert fires; none is there while nothing happens, or in a deploy."""
    run("promtool", "test", "rules", "rules_test.yaml")


@pytest.mark.parametrize("name", NAMES)
def test_every_alert_has_a_test_that_it_fires(name: str) -> None:
    """With its labels, at a time; a test that expects nothing would not do."""
    fired = [
        check
        for test in TESTS
        for check in test["promql_expr_test"]
        if f'alertname="{name}"' in check["expr"] and check["exp_samples"]
    ]
    assert fired


@pytest.mark.parametrize("what", ["while nothing happens", "in a deploy"])
def test_every_alert_is_silent_when_it_should_be(what: str) -> None:
    """The quiet tests look at all alerts, and have every metric that any alert looks at."""
    quiet = [test for test in TESTS if test["name"].startswith(f"silent {what}")]
    assert quiet
    for test in quiet:
        assert all(check["exp_samples"] == [] for check in test["promql_expr_test"])
        assert {check["expr"] for check in test["promql_expr_test"]} <= {"ALERTS", 'ALERTS{alertstate="firing"}'}
    given = {line["series"].partition("{")[0] for test in quiet for line in test["input_series"]}
    wanted = {name for alert in ALERTS for name in re.findall(r"(?<!:)\border_router_[a-z_]+", alert.expr)}
    assert wanted <= given


@pytest.mark.parametrize("alert", ALERTS, ids=NAMES)
def test_every_alert_has_a_section_in_the_runbook(alert: Alert) -> None:
    """Where its annotation leads: what it means for money, what to look at, what to type."""
    text = sections()[alert.name]
    assert anchor(alert) == f"deploy/runbook.md#{alert.name.lower()}"
    assert text.strip().startswith(f"{alert.severity.capitalize()}. ")
    assert re.findall(r"^\*\*(\w+):\*\*", text, re.MULTILINE) == ["Money", "Look", "Do"]
    assert "```" in text


def test_the_runbook_tells_of_no_other_alert() -> None:
    """A section whose alert is gone would mislead; they stand in the order of the rules."""
    assert list(sections()) == NAMES


def leaf(words: list[str]) -> tuple[Any, list[str]]:
    """Return the command that these words lead to, and the words that are left for it."""
    command: Any = typer.main.get_command(app)
    while words and words[0] in getattr(command, "commands", {}):
        command, words = command.commands[words[0]], words[1:]
    return command, words


@pytest.mark.parametrize("line", sorted(set(re.findall(r"^order-router (.+)$", RUNBOOK.read_text(), re.MULTILINE))))
def test_the_runbook_types_only_commands_that_exist(line: str) -> None:
    """At three in the morning nobody wants to read `No such command`, nor `Invalid value`."""
    command, words = leaf(shlex.split(line))
    if words == ["--version"]:
        words = []
    else:
        assert not hasattr(command, "commands"), line
        command.make_context(line, words)  # parses, and runs nothing


@pytest.mark.parametrize("line", sorted(set(re.findall(r"`order-router ([^`]+)`", RUNBOOK.read_text()))))
def test_the_runbook_speaks_only_of_commands_that_exist(line: str) -> None:
    """In its sentences some have no arguments."""
    command, words = leaf(shlex.split(line))
    assert not hasattr(command, "commands"), line
    assert {word for word in words if word.startswith("-")} <= {
        option for parameter in command.params for option in parameter.opts
    }


def test_the_runbook_names_only_panels_that_exist() -> None:
    """Or dashboards, by the last part of their titles; or a page of another program."""
    named = {" ".join(words.split()) for words in re.findall(r"(?<!\*)\*([A-Z][^*]+)\*(?!\*)", RUNBOOK.read_text())}
    shown = {str(panel.title) for frame in FRAMES for panel in dashboard(frame).panels or ()}
    assert named - shown - {frame.title.rpartition("/ ")[2] for frame in FRAMES} <= {"Get messages", "Targets"}


def test_every_reason_is_somebodys() -> None:
    """A new reason code must be put with ours, the senders' or the announced ones: the budget counts by it."""
    assert sorted((*OURS, *SENDERS, *CLOSED)) == sorted(get_args(ReasonCode))
    assert NONE not in (*OURS, *SENDERS, *CLOSED)


def test_the_rules_look_at_metrics_that_exist() -> None:
    """By name; the type's suffix is Prometheus' own."""
    metrics = Metrics()
    for name in ("journal_up", "consuming", "draining"):
        metrics.watch(name, name, lambda: True)
    families = {family.name for family in metrics.registry.collect()}
    told = set(re.findall(r"(?<![\w:])order_router_[a-z_]+", RULES.read_text()))
    assert told
    assert {re.sub(r"_(total|bucket)$", "", name) for name in told} <= families


def test_a_factor_shortens_every_duration() -> None:
    """`make test-alerts` waits seconds where a real installation waits minutes."""
    rules = {
        rule["alert"]: rule
        for group in yaml.safe_load(render(1 / 60))["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }
    assert rules["OrderRouterFeedDown"]["for"] == "5s"
    assert "offset 15s" in rules["OrderRouterFeedDown"]["expr"]
    assert "[10s]" in rules["OrderRouterDeadLetters"]["expr"]
    assert rules["OrderRouterJournalDown"]["for"] == "1s", "no shorter than a second"
    assert not re.search(r"\[\d+[mhd]\]|\[3d\]", rules["OrderRouterQueueAge"]["expr"])


def test_the_rules_can_be_a_prometheus_rule() -> None:
    """Only what the operator's resource knows: groups of named rules."""
    content = yaml.safe_load(Path(RULES).read_text())
    assert list(content) == ["groups"]
    allowed = {"alert", "expr", "for", "labels", "annotations", "record"}
    assert all(set(rule) <= allowed for group in content["groups"] for rule in group["rules"])
