"""What is measured, what is documented, what is drawn and what is alerted on are the same."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.registry import Collector

from orchestrator import counts
from tests.installed import promtool
from workers.metrics import Figures

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
DASHBOARD = ROOT / "deploy" / "grafana" / "holdfast.json"
NAME = re.compile(r"holdfast_[a-z_]+")
SUFFIXES = re.compile(r"_(bucket|count|sum)$")


def documented() -> dict[str, set[str]]:
    """Metric to labels, by the tables of docs/metrics.md."""
    found: dict[str, set[str]] = {}
    for line in (ROOT / "docs" / "metrics.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0].startswith("`holdfast_"):
            labels = cells[2] if cells[1] in ("counter", "histogram", "gauge") else cells[1]
            found[cells[0].strip("`")] = set(filter(None, labels.split(", ")))
    return found


def name_of(family: Metric) -> str:
    return f"{family.name}_total" if family.type == "counter" else family.name


def names(collector: Collector) -> Iterator[str]:
    found = map(name_of, collector.collect())
    return (name for name in found if name.startswith("holdfast_"))


def measured(tmp_path: Path) -> set[str]:
    worker = Figures("d", "T", journal=tmp_path, held=lambda: True)
    read = {gauge.name for gauge in counts.READ}
    return {*names(counts.REGISTRY), *names(worker.registry), *read}


def expressions() -> list[str]:
    """Of the dashboard's panels, as Grafana sends them."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    found = [target["expr"] for panel in panels for target in panel.get("targets", [])]
    return [e.replace("$__rate_interval", "5m").replace("$device_type", ".*") for e in found]


def used(text: str) -> set[str]:
    return {SUFFIXES.sub("", name) for name in NAME.findall(text)}


def alerts() -> str:
    return (PROMETHEUS / "alerts.yml").read_text()


def check(*words: str | Path) -> None:
    done = subprocess.run([promtool(), *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_measured_is_documented_and_the_other_way_round(tmp_path: Path) -> None:
    assert documented().keys() == measured(tmp_path)


def test_the_labels_are_those_that_are_documented(tmp_path: Path) -> None:
    own = [counts.http, counts.runs, counts.dropped, counts.gone, counts.handover]
    own += [counts.findings, counts.failures, counts.tasks]
    labels = {next(names(metric)): set(metric._labelnames) for metric in own}
    labels |= {gauge.name: set(gauge.labels) for gauge in counts.READ}
    worker = Figures("d", "T", journal=tmp_path, held=lambda: True)
    for family in worker.registry.collect():
        labels[name_of(family)] = {label for s in family.samples for label in s.labels} - {"le"}
    ours = {name: set_of for name, set_of in labels.items() if name.startswith("holdfast_")}
    assert documented() == ours


def test_dashboard_and_alerts_ask_for_nothing_that_is_not_there() -> None:
    known = documented().keys()
    assert used(" ".join(expressions())) - known == set()
    assert used(alerts()) - known == set()


def test_every_metric_is_on_the_dashboard() -> None:
    assert documented().keys() - used(" ".join(expressions())) == set()


def test_every_alert_is_documented_and_tested() -> None:
    alerting = set(re.findall(r"- alert: (\w+)", alerts()))
    told = set(re.findall(r"^\| `(Holdfast\w+)`", (ROOT / "docs/metrics.md").read_text(), re.M))
    tests = (PROMETHEUS / "alerts_test.yml").read_text()
    fired = set(re.findall(r"alertname: (\w+)\n +exp_alerts:\n", tests))
    assert alerting == told == fired


def test_promtool_accepts_the_rules_and_their_tests() -> None:
    check("check", "rules", PROMETHEUS / "alerts.yml")
    check("test", "rules", PROMETHEUS / "alerts_test.yml")


def test_promtool_accepts_the_configuration(tmp_path: Path) -> None:
    for path in PROMETHEUS.glob("*.yml"):
        shutil.copy(path, tmp_path)
    (tmp_path / "holdfast.key").write_text("av_x\n")
    check("check", "config", tmp_path / "prometheus.yml")


def test_prometheus_understands_every_expression_of_the_dashboard(tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{number}", "expr": expr} for number, expr in enumerate(expressions())
    ]
    # JSON is YAML.
    path = tmp_path / "panels.yml"
    path.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    check("check", "rules", path)


def test_no_two_panels_lie_over_each_other() -> None:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    taken: dict[tuple[int, int], str] = {}
    for panel in panels:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        for x in range(at["x"], at["x"] + at["w"]):
            for y in range(at["y"], at["y"] + at["h"]):
                assert taken.setdefault((x, y), panel["title"]) == panel["title"]
