"""The chart, rendered by the Helm library itself."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from helm_python.chart import Chart

from deploy.setup import ROOT

CHART = ROOT / "deploy/chart"
EXAMPLES = sorted(path.name.removesuffix("-values.yaml") for path in (CHART / "ci").glob("*-values.yaml"))
RELEASE, NAMESPACE = "order-router", "trading"


def values(example: str) -> dict[str, Any]:
    """Return one of the chart's example values files."""
    found: dict[str, Any] = yaml.safe_load((CHART / f"ci/{example}-values.yaml").read_text())
    return found


def rendered(given: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what `helm install` would apply. Raises the library's errors for values that are refused."""
    with Chart.load(CHART) as chart:
        files = chart.render(given, name=RELEASE, namespace=NAMESPACE)
    texts = (text for name, text in sorted(files.items()) if name.endswith(".yaml"))
    return [found for text in texts for found in yaml.safe_load_all(text) if found]


def of_kind(objects: list[dict[str, Any]], kind: str) -> Iterator[dict[str, Any]]:
    """Yield the objects of a kind."""
    return (found for found in objects if found["kind"] == kind)


def pods(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the pod specification of every Deployment."""
    return [found["spec"]["template"]["spec"] for found in of_kind(objects, "Deployment")]


def configuration(objects: list[dict[str, Any]]) -> str:
    """Return the configuration file that the pods read."""
    return str(next(of_kind(objects, "ConfigMap"))["data"]["order-router.toml"])


def mounted(pod: dict[str, Any], directory: Path, secrets: dict[tuple[str, str], str]) -> None:
    """Write the files of the pod's volume of secrets as the kubelet would. `secrets`: what each Secret's keys hold."""
    volume = next(found for found in pod["volumes"] if found["name"] == "secrets")["projected"]
    for source in volume["sources"]:
        for item in source["secret"]["items"]:
            file = directory / item["path"]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(secrets[source["secret"]["name"], item["key"]])
            file.chmod(volume["defaultMode"])
