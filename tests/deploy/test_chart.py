"""The chart: what it renders is valid, leads a router to its configuration, and keeps what README promises of it."""

import json
import re
import subprocess
from copy import deepcopy
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from helm_python.chart import lint
from helm_python.errors import HelmError

from deploy import node_packages
from deploy.setup import ROOT
from router.broker.topology import Names
from router.config import load
from router.simulator.venues.coinbase.keys import ES256_KEY
from tests.deploy.charts import CHART, EXAMPLES, configuration, mounted, of_kind, pods, rendered, values
from tests.integration.deploy.authority import Authority

pytestmark = pytest.mark.slow

CUSTOM = {"keda.sh", "monitoring.coreos.com", "external-secrets.io"}
OLDEST, NEWEST = "1.27", "1.37"
NODE = Path(__file__).parent / "node"


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("example", EXAMPLES)
def test_kubernetes_takes_it(example: str, version: str) -> None:
    """Strictly: no field that the API does not have, from the oldest Kubernetes that Chart.yaml allows on."""
    objects = [it for it in rendered(values(example)) if it["apiVersion"].partition("/")[0] not in CUSTOM]
    assert len(objects) >= 5
    for found in objects:
        kubernetes_validate.validate(found, version, strict=True)


def wrong(resources: list[dict[str, Any]]) -> list[str]:
    """Return what is wrong with each custom resource."""
    packages = node_packages.folder(NODE)
    assert packages.is_dir(), "run python3 -m deploy.node_packages tests/deploy/node"
    command = [str(node_packages.node()), str(NODE / "validate.mjs"), str(packages / "node_modules")]
    done = subprocess.run(command, input=json.dumps(resources), capture_output=True, text=True, check=True)
    found: list[str] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    ("example", "kinds"),
    [
        ("tls", {"PodMonitor", "PrometheusRule"}),
        ("keda", {"PodMonitor", "ScaledObject", "TriggerAuthentication"}),
        ("external-secrets", {"ExternalSecret"}),
    ],
)
def test_operators_take_their_resources(example: str, kinds: set[str]) -> None:
    """KEDA, the Prometheus Operator and external-secrets, each by its own definitions."""
    found = [it for it in rendered(values(example)) if it["apiVersion"].partition("/")[0] in CUSTOM]
    assert {it["kind"] for it in found} == kinds
    assert wrong(found) == [""] * len(found)


def test_a_misspelt_field_would_be_noticed() -> None:
    """In an operator's resource as in Kubernetes' own."""
    scaled = next(of_kind(rendered(values("keda")), "ScaledObject"))
    scaled["spec"]["maxReplicacount"] = scaled["spec"].pop("maxReplicaCount")
    assert "maxReplicacount" in wrong([scaled])[0]
    deployment = next(of_kind(rendered(values("keda")), "Deployment"))
    deployment["spec"]["template"]["spec"]["terminationGraceSeconds"] = 1
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, NEWEST, strict=True)


@pytest.mark.parametrize("example", EXAMPLES)
def test_helm_finds_no_fault(example: str) -> None:
    """`helm lint --strict` says nothing but that an icon would be nice."""
    report = lint(CHART, values(example), strict=True)
    assert report["errors"] == []
    assert [it for it in report["messages"] if "icon" not in it["error"]] == []


def secrets(directory: Path) -> dict[tuple[str, str], str]:
    """Return what the examples' Secrets hold: their keys are of no account."""
    authority = Authority(directory)
    files = authority.client("order-router")
    ca = authority.certificate.read_text()
    found = {
        ("order-router-broker", "url"): "amqp://rabbitmq.example/order-router",
        ("order-router-broker-tls", "ca.crt"): ca,
        ("order-router-broker-tls", "tls.crt"): files.certificate.read_text(),
        ("order-router-broker-tls", "tls.key"): files.key.read_text(),
        ("order-router-journal", "url"): "postgresql://router:secret@postgresql.example/router",
        ("order-router-journal-ca", "ca.crt"): ca,
        ("coinbase-main", "api_key"): "organizations/x/apiKeys/y",
        ("coinbase-main", "api_secret"): ES256_KEY,
    }
    for name in ("gmo-coin-main", "btcturk-main", "nami-main"):
        for key in ("api_key", "api_secret", "ws_api_key", "ws_api_secret"):
            # BtcTurk's are base64
            found[name, key] = "c2VjcmV0"
    return found


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_router_takes_its_configuration(example: str, tmp_path: Path) -> None:
    """Every file that it names is mounted there, and the program's own check finds nothing wrong."""
    objects = rendered(values(example))
    text = configuration(objects)
    given = secrets(tmp_path)
    if "broker-tls" in text:
        given["order-router-broker", "url"] = "amqps://rabbitmq.example/order-router?auth=external"
    for number, pod in enumerate(pods(objects)):
        directory = tmp_path / str(number)
        mounted(pod, directory, given)
        file = tmp_path / f"{number}.toml"
        file.write_text(text.replace("/run/secrets/order-router", str(directory)))
        config = load(file, {})
        named = {(venue, account) for venue, its in config.accounts.items() for account in its}
        assert named == {(venue, account) for venue, its in values(example)["accounts"].items() for account in its}
        assert config.http.host == "0.0.0.0"


def test_values_reach_the_configuration(tmp_path: Path) -> None:
    """Whole numbers stay whole, and what has a value of its own wins over `settings`."""
    objects = rendered(values("keda"))
    mounted(pods(objects)[0], tmp_path / "s", secrets(tmp_path))
    file = tmp_path / "c.toml"
    file.write_text(configuration(objects).replace("/run/secrets/order-router", str(tmp_path / "s")))
    config = load(file, {})
    assert (config.broker.prefix, config.broker.prefetch, config.broker.heartbeat_s) == ("cell.one", 32, 5)
    assert (config.worker.lease_s, config.worker.drain_timeout_s) == (10, 25)
    assert not config.broker.declare


@pytest.mark.parametrize("example", EXAMPLES)
def test_no_secret_is_rendered_but_by_name(example: str) -> None:
    """No Secret is made from values, which Helm keeps; each is mounted as files, none is a variable."""
    objects = rendered(values(example))
    assert list(of_kind(objects, "Secret")) == []
    for pod in pods(objects):
        (container,) = pod["containers"]
        assert "envFrom" not in container
        assert not any("valueFrom" in variable for variable in container.get("env", []))
        volume = next(it for it in pod["volumes"] if it["name"] == "secrets")["projected"]
        assert volume["defaultMode"] == 0o440


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_pods_can_do_little(example: str) -> None:
    """Not root, a read-only root, no capability, no token; apart from their like; ended only after a drain."""
    objects = rendered(values(example))
    drain_s = 25
    for pod in pods(objects):
        (container,) = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert pod["automountServiceAccountToken"] is False
        assert "podAntiAffinity" in pod["affinity"]
        assert pod["terminationGracePeriodSeconds"] >= drain_s + 10
        assert (
            container["livenessProbe"]["httpGet"]["path"] == container["startupProbe"]["httpGet"]["path"] == "/healthz"
        )
        assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"


def changed(example: str, **what: Any) -> dict[str, Any]:
    """Return an example's values with sections changed: `journal={"kind": "sqlite"}`."""
    found = deepcopy(values(example))
    for section, inner in what.items():
        found[section] = {**found.get(section, {}), **inner} if isinstance(inner, dict) else inner
    return found


SQLITE = {"kind": "sqlite"}
REFUSED = {
    "two workers on one SQLite file": (
        changed("minimal", journal=SQLITE, worker={"feed": True}),
        "worker.replicas to 1",
    ),
    "pods by KEDA on one SQLite file": (changed("sqlite", keda={"enabled": True}), "keda.enabled to false"),
    "a feed beside it on one SQLite file": (changed("sqlite", worker={"feed": False}), "worker.feed to true"),
    "no account": (changed("minimal", accounts=None), "accounts is empty"),
    "no image": (changed("minimal", image={"repository": ""}), "image.repository is empty"),
    "a grace shorter than the drain": (changed("minimal", terminationGraceSeconds=30), "worker.drainSeconds + 10"),
    "a ceiling below the floor": (changed("keda", keda={"maxReplicas": 1}), "less than keda.minReplicas"),
    "no store": (changed("external-secrets", externalSecrets={"storeName": ""}), "externalSecrets.storeName"),
    "a value that is not there": (changed("minimal", replicas=3), "replicas"),
    "a misspelt one": (changed("minimal", worker={"replica": 3}), "replica"),
    "an account without its Secret": (changed("minimal", accounts={"nami": {"main": {}}}), "secretName"),
    "a secret among the values": (
        changed("minimal", accounts={"nami": {"main": {"secretName": "x", "api_secret": "y"}}}),
        "api_secret",
    ),
    "no pod": (changed("minimal", worker={"replicas": 0}), "replicas"),
}


@pytest.mark.parametrize(("given", "said"), REFUSED.values(), ids=REFUSED)
def test_it_is_refused(given: dict[str, Any], said: str) -> None:
    """At render, before anything reaches a cluster, and the message says what to change."""
    if given.get("accounts") is None:
        given.pop("accounts")
    with pytest.raises(HelmError) as caught:
        rendered(given)
    assert said in str(caught.value)


def test_one_pod_has_an_sqlite_file_alone() -> None:
    """The old one ends before the new one begins, the volume cannot be mounted twice, and it outlives the release."""
    objects = rendered(values("sqlite"))
    (deployment,) = of_kind(objects, "Deployment")
    assert deployment["spec"]["replicas"] == 1
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}
    (claim,) = of_kind(objects, "PersistentVolumeClaim")
    assert claim["spec"]["accessModes"] == ["ReadWriteOncePod"]
    assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


def test_two_pods_of_each_by_default() -> None:
    """And a new one is ready before an old one drains, unless there may be no node for it."""
    for example, surge in (("minimal", 1), ("tls", 0)):
        for deployment in of_kind(rendered(values(example)), "Deployment"):
            assert deployment["spec"]["replicas"] == 2
            assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": surge, "maxUnavailable": 1 - surge}


def test_keda_counts_what_workers_hold() -> None:
    """Over the HTTP API, unacknowledged messages too, of every lane and no other queue, up to a ceiling."""
    objects = rendered(values("keda"))
    (scaled,) = of_kind(objects, "ScaledObject")
    assert (scaled["spec"]["minReplicaCount"], scaled["spec"]["maxReplicaCount"]) == (2, 5)
    metadata = scaled["spec"]["triggers"][0]["metadata"]
    assert metadata["protocol"] == "http"
    assert metadata["excludeUnacknowledged"] == "false"
    names = Names("cell.one")
    lanes = [names.lane("gmo_coin", "close"), names.lane("coinbase", "cancel")]
    others = [names.unrouted_queue, names.results, names.dead, names.alerts, "cellxone.commands.nami.close", "x"]
    assert [it for it in lanes + others if re.search(metadata["queueName"], it)] == lanes
    worker = next(it for it in of_kind(objects, "Deployment") if it["metadata"]["name"].endswith("-worker"))
    assert "replicas" not in worker["spec"], "else every upgrade would set them back"
    assert scaled["spec"]["scaleTargetRef"]["name"] == worker["metadata"]["name"]


def test_selectors_find_the_pods() -> None:
    """Of Deployment, disruption budget, network policy and monitor."""
    objects = rendered(values("tls"))
    labels = [it["spec"]["template"]["metadata"]["labels"] for it in of_kind(objects, "Deployment")]
    found = [
        it["spec"].get("selector") or it["spec"]["podSelector"]
        for it in objects
        if "spec" in it and "groups" not in it["spec"]
    ]
    assert len(found) == 6
    for selector in found:
        wanted = selector["matchLabels"].items()
        assert any(wanted <= its.items() for its in labels), selector


def test_another_configuration_is_another_pod() -> None:
    """A pod reads its file once."""

    def marks(given: dict[str, Any]) -> set[str]:
        return {
            it["spec"]["template"]["metadata"]["annotations"]["order-router/config"]
            for it in of_kind(rendered(given), "Deployment")
        }

    assert marks(values("minimal")) != marks(changed("minimal", journal={"retentionDays": 31}))
    assert marks(values("minimal")) == marks(changed("minimal", worker={"replicas": 5}))


def test_all_rules_are_in_the_chart() -> None:
    """As they are: what Prometheus fills in is not taken for Helm's."""
    rules = (ROOT / "deploy/prometheus/rules.yaml").read_text()
    (found,) = of_kind(rendered(values("tls")), "PrometheusRule")
    assert found["spec"] == yaml.safe_load(rules)


def test_the_chart_is_of_this_version() -> None:
    """Its default image is the program beside it."""
    version = re.search(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"] == version[1]
