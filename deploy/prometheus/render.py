"""`python -m deploy.prometheus.render`: write rules.yaml from `alerts.py`; `--check`: fail if it is not what they say.

`--factor 0.0167 --output FILE` writes rules for a test: every `for`, window and offset is so many times as long.
Bounds in seconds stay: a command that is in doubt for 60 s is one in any rules.
"""

import argparse
import re
import sys
from pathlib import Path
from typing import Any, Final

import yaml

from deploy.prometheus.alerts import GROUPS, RECORDINGS, Alert

RULES: Final = Path(__file__).with_name("rules.yaml")
RUNBOOK: Final = "deploy/runbook.md"
SHORTEST_MS: Final = 1000
HEAD: Final = """\
# Written by `make rules` from alerts.py, which says why each rule is as it is. What to do: ../runbook.md.
# Needs Prometheus 2.42 or later; its `groups` are also the spec of a PrometheusRule.
"""

_UNITS_MS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION: Final = re.compile(r"(?<=\[)(\d+)(ms|[smhd])(?=\])|(?<=offset )(\d+)(ms|[smhd])\b")


def render(factor: float = 1.0) -> str:
    """Return the rules as YAML, with every duration `factor` times as long, but no shorter than a second."""
    recordings = [{"record": it.record, "expr": _scaled(it.expr, factor)} for it in RECORDINGS]
    groups = [{"name": "order-router-ratios", "rules": recordings}]
    for name, alerts in GROUPS.items():
        groups.append({"name": f"order-router-{name}", "rules": [_rule(alert, factor) for alert in alerts]})
    return HEAD + yaml.dump({"groups": groups}, Dumper=_Dumper, sort_keys=False, width=10_000, allow_unicode=True)


def anchor(alert: Alert) -> str:
    """Return where the runbook tells of an alert."""
    return f"{RUNBOOK}#{alert.name.lower()}"


def _rule(alert: Alert, factor: float) -> dict[str, Any]:
    rule: dict[str, Any] = {"alert": alert.name, "expr": _scaled(alert.expr, factor)}
    if alert.for_s:
        rule["for"] = _duration(alert.for_s * 1000 * factor)
    rule["labels"] = {"severity": alert.severity}
    rule["annotations"] = {"summary": alert.summary, "runbook": anchor(alert)}
    return rule


def _scaled(expr: str, factor: float) -> str:
    def scale(found: re.Match[str]) -> str:
        number, unit = found[1] or found[3], found[2] or found[4]
        return _duration(int(number) * _UNITS_MS[unit] * factor)

    return expr if factor == 1 else _DURATION.sub(scale, expr)


def _duration(ms: float) -> str:
    """Return a duration as Prometheus writes it, in the largest unit that is whole."""
    whole = max(round(ms), SHORTEST_MS)
    unit = next(unit for unit in ("d", "h", "m", "s", "ms") if whole % _UNITS_MS[unit] == 0)
    return f"{whole // _UNITS_MS[unit]}{unit}"


class _Dumper(yaml.SafeDumper):
    """Writes text of several lines as a block."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def main() -> None:
    """Write or check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--factor", type=float, default=1.0)
    parser.add_argument("--output", type=Path, default=RULES)
    given = parser.parse_args()
    text = render(given.factor)
    if not given.check:
        given.output.write_text(text)
    elif given.output.read_text() != text:
        sys.exit(f"{given.output}: not what deploy/prometheus/alerts.py says; run `make rules`")


if __name__ == "__main__":
    main()
