"""docs/kubernetes.md: its manifests are whole, fit each other and the image, and let nothing run that need not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

import exporter
from exporter.config import read

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/kubernetes.md").read_text()
DOCKERFILE = (ROOT / "Dockerfile").read_text()
FIRST, *OTHERS = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
BY_KIND: dict[str, Any] = {each["kind"]: each for each in yaml.safe_load_all(FIRST)}
POD = BY_KIND["Deployment"]["spec"]["template"]
(CONTAINER,) = POD["spec"]["containers"]


def test_there_is_one_of_each() -> None:
    assert {kind: each["apiVersion"] for kind, each in BY_KIND.items()} == {
        "Secret": "v1",
        "PersistentVolumeClaim": "v1",
        "Deployment": "apps/v1",
        "Service": "v1",
        "ServiceMonitor": "monitoring.coreos.com/v1",
    }
    assert {each["metadata"]["name"] for each in BY_KIND.values()} == {"bandwidth"}


def test_one_replica_ends_before_the_next_begins() -> None:
    spec = BY_KIND["Deployment"]["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    assert BY_KIND["PersistentVolumeClaim"]["spec"]["accessModes"] == ["ReadWriteOncePod"]


def test_they_find_each_other() -> None:
    labels = POD["metadata"]["labels"]
    service = BY_KIND["Service"]
    (port,), (endpoint,) = service["spec"]["ports"], BY_KIND["ServiceMonitor"]["spec"]["endpoints"]
    assert BY_KIND["Deployment"]["spec"]["selector"]["matchLabels"] == labels == service["spec"]["selector"]
    assert BY_KIND["ServiceMonitor"]["spec"]["selector"]["matchLabels"] == service["metadata"]["labels"]
    assert endpoint["port"] == port["name"]
    assert port["targetPort"] == CONTAINER["ports"][0]["name"]
    assert CONTAINER["ports"][0]["containerPort"] == port["port"] == 10477
    volumes = {each["name"] for each in POD["spec"]["volumes"]}
    assert {each["name"] for each in CONTAINER["volumeMounts"]} == volumes


def test_the_job_has_the_name_that_rules_go_by_and_the_instance_stays() -> None:
    (job,) = yaml.safe_load((ROOT / "prometheus/prometheus.yml").read_text())["scrape_configs"]
    assert BY_KIND["Service"]["metadata"]["name"] == job["job_name"]
    (endpoint,) = BY_KIND["ServiceMonitor"]["spec"]["endpoints"]
    assert endpoint["relabelings"] == [
        {"targetLabel": "instance", "replacement": "bandwidth:10477"},
        {"regex": "pod", "action": "labeldrop"},
    ]


def test_it_runs_as_the_image_does_with_nothing_to_spare() -> None:
    pod, own = POD["spec"]["securityContext"], CONTAINER["securityContext"]
    user = re.search(r"^USER (\d+):(\d+)$", DOCKERFILE, re.MULTILINE)
    assert user is not None
    assert [pod["runAsUser"], pod["runAsGroup"]] == [int(user[1]), int(user[2])]
    assert pod["fsGroup"] == pod["runAsGroup"]
    assert pod["runAsNonRoot"] is True
    assert own == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert POD["spec"]["automountServiceAccountToken"] is False
    for mount in CONTAINER["volumeMounts"]:
        assert mount["mountPath"] == "/tmp" or mount["mountPath"] in DOCKERFILE
    assert CONTAINER["image"].endswith(f":{exporter.__version__}")


def test_probes_run_the_image_s_own_check() -> None:
    check = re.search(r"CMD \[(.+)\]", DOCKERFILE)
    assert check is not None
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert CONTAINER[probe]["exec"]["command"] == re.findall(r'"([^"]+)"', check[1])


def test_the_configuration_is_one(tmp_path: Path) -> None:
    files = BY_KIND["Secret"]["stringData"]
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    (home,) = read(files["config.yaml"], tmp_path / "config.yaml", {}).sources
    assert home.name == "home"


def test_the_other_examples_are_yaml() -> None:
    assert [list(yaml.safe_load(text)) for text in OTHERS] == [["remote_write"]]
