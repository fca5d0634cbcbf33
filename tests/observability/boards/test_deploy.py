"""The files that start Prometheus, Grafana, Jaeger and a collector: they fit together. Nothing is started here."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from policies.json import Object, as_list, as_object, as_str
from tests.observability.boards.files import GRAFANA, ROOT, RULES, boards

DEPLOY = ROOT / "deploy"
PARTS = DEPLOY / "observability"
COMPOSE = DEPLOY / "observability.compose.yaml"
SOURCES = PARTS / "grafana" / "provisioning" / "datasources" / "llm-gateway.yaml"
PROVIDERS = PARTS / "grafana" / "provisioning" / "dashboards" / "llm-gateway.yaml"


def read(path: Path) -> Object:
    return as_object(yaml.safe_load(path.read_text(encoding="utf-8")))


SERVICES = {name: as_object(service) for name, service in as_object(read(COMPOSE)["services"]).items()}


def mounts(service: str) -> dict[str, Path]:
    """What lies where in a container: path inside, file outside."""
    found = [as_str(each).split(":") for each in as_list(SERVICES[service]["volumes"])]
    return {each[1]: (DEPLOY / each[0]).resolve() for each in found if each[0].startswith(".")}


@pytest.mark.parametrize("name", list(SERVICES))
def test_services_are_of_the_profile_pinned_and_for_this_machine_only(name: str) -> None:
    service = SERVICES[name]
    assert service["profiles"] == ["observability"]
    assert re.fullmatch(r"[a-z/-]+:v?\d+\.\d+\.\d+", as_str(service["image"])), "a version, never `latest`"
    assert all(as_str(port).startswith("127.0.0.1:") for port in as_list(service.get("ports")))


def test_what_is_mounted_exists() -> None:
    for name, service in SERVICES.items():
        if "volumes" in service:
            assert [path for path in mounts(name).values() if not path.exists()] == []


def test_the_boards_and_rules_of_this_repository_are_what_is_mounted() -> None:
    assert mounts("prometheus")["/etc/prometheus/rules.yaml"] == RULES
    folder = as_object(as_object(as_list(read(PROVIDERS)["providers"])[0])["options"])["path"]
    assert mounts("grafana")[as_str(folder)] == GRAFANA


def test_prometheus_accepts_its_configuration(tmp_path: Path) -> None:
    text = (PARTS / "prometheus.yaml").read_text(encoding="utf-8")
    (tmp_path / "key").write_text("lgw_x")
    text = text.replace("/etc/prometheus/rules.yaml", str(RULES)).replace("/run/secrets/metrics_key", f"{tmp_path}/key")
    (tmp_path / "prometheus.yaml").write_text(text)
    program = shutil.which("promtool")
    assert program is not None, "no promtool: requirements/system.sh installs it"
    done = subprocess.run(
        (program, "check", "config", f"{tmp_path}/prometheus.yaml"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_job_has_the_name_that_alerts_look_for() -> None:
    jobs = [as_object(each)["job_name"] for each in as_list(read(PARTS / "prometheus.yaml")["scrape_configs"])]
    assert jobs == ["llm-gateway"]
    assert set(re.findall(r'job="([^"]+)"', RULES.read_text(encoding="utf-8"))) == {"llm-gateway"}


def test_pipelines_of_the_collector_use_what_is_configured_and_all_of_it() -> None:
    collector = read(PARTS / "collector.yaml")
    pipelines = as_object(as_object(collector["service"])["pipelines"])
    assert set(pipelines) == {"traces", "metrics", "logs"}
    for kind in ("receivers", "processors", "exporters"):
        used = {each for pipeline in pipelines.values() for each in as_list(as_object(pipeline)[kind])}
        assert used == set(as_object(collector[kind]))


def test_exemplars_lead_to_a_source_of_traces_that_is_there() -> None:
    sources = {as_str(each["uid"]): each for each in map(as_object, as_list(read(SOURCES)["datasources"]))}
    links = as_list(as_object(sources["prometheus"]["jsonData"])["exemplarTraceIdDestinations"])
    assert [as_object(link)["name"] for link in links] == ["trace_id"]
    assert all(sources[as_str(as_object(link)["datasourceUid"])]["type"] == "jaeger" for link in links)
    wanted = {
        as_object(variable)["query"]
        for board in boards().values()
        for variable in as_list(as_object(board["templating"])["list"])
        if as_object(variable)["type"] == "datasource"
    }
    assert wanted == {source["type"] for source in sources.values()}
