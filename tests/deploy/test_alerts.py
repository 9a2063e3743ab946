"""Alert rules, dashboard, KEDA's query and the runbook: each metric, label, value, entry and command exists."""

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml
from journeyman.tasks.inspection.overview import QueueLine, overview
from journeyman.tasks.metrics.samples import KnownQueues, journal_samples, run_samples, schedule_samples
from journeyman.tasks.metrics.table import BY_NAME, PROCESS_METRICS, Exporter, Sample
from journeyman.tasks.state.view import TaskView
from journeyman.workers.settings import WorkerCounts
from promql_parser import (
    AggregateExpr,
    BinaryExpr,
    Call,
    MatrixSelector,
    ParenExpr,
    UnaryExpr,
    VectorSelector,
    parse,
    walk,
)
from support.deployment import COMMANDS, DEPLOY, ROOT, is_command, of_kind, port_of

RUNBOOK = ROOT / "docs" / "runbook.md"
PROMETHEUS = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
ALERTS = [
    rule
    for group in yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
]
DASHBOARD = json.loads((DEPLOY / "grafana" / "dashboards" / "journeyman.json").read_text())


def _expressions() -> Iterator[tuple[str, str]]:
    for rule in ALERTS:
        yield rule["alert"], rule["expr"]
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]
    (scaled,) = of_kind("ScaledObject")
    for trigger in scaled["spec"]["triggers"]:
        yield "KEDA", trigger["metadata"]["query"]


def _parse(expression: str) -> Any:
    """Parse PromQL, with values in place of Grafana's variables; `ValueError` if it is none."""
    return parse(expression.replace("$__rate_interval", "5m").replace("$queue", "mail"))


def _selectors(expression: str) -> tuple[list[VectorSelector], set[str]]:
    """The selectors of an expression, and the labels by which it aggregates; raises if it is no PromQL."""
    found: list[VectorSelector] = []
    labels: set[str] = set()

    def visit(node: Any) -> bool:
        if isinstance(node, VectorSelector):
            found.append(node)
        if isinstance(node, AggregateExpr) and node.modifier is not None:
            labels.update(node.modifier.labels)
        return True

    walk(_parse(expression), visit)
    return found, labels


def _metric_of(name: str) -> tuple[str, tuple[str, ...]]:
    """The metric of a series, and the labels of the series; KeyError for one that is not exported."""
    base = re.sub("_(bucket|count|sum)$", "", name)
    if name in PROCESS_METRICS or name == "up":
        return name, ()
    if base in BY_NAME and BY_NAME[base].kind == "histogram":
        return base, (*BY_NAME[base].labels, *(("le",) if name.endswith("_bucket") else ()))
    return name, BY_NAME[name].labels


_OF_SCRAPES = {"job", "instance"}
EXPRESSIONS = list(_expressions())


@pytest.mark.parametrize(("place", "expression"), EXPRESSIONS, ids=[place for place, _ in EXPRESSIONS])
def test_expression_names_metrics_and_labels_that_exist(place: str, expression: str) -> None:
    selectors, aggregated = _selectors(expression)
    assert selectors
    known: set[str] = set()
    for selector in selectors:
        _, labels = _metric_of(str(selector.name))
        known |= {*labels, *_OF_SCRAPES}
        for matcher in selector.matchers.matchers:
            assert matcher.name in {*labels, *_OF_SCRAPES}, f"{selector.name} has no label {matcher.name}"
            values = VALUES.get(matcher.name, set())
            for value in matcher.value.split("|") if values else ():
                assert value in values, f"{selector.name}: {matcher.name} is never {value!r}"
    assert aggregated <= known, f"no metric in {place} has {aggregated - known}"


def _jobs() -> set[str]:
    jobs = {scrape["job_name"] for scrape in PROMETHEUS["scrape_configs"]}
    labels = [each["spec"]["template"]["metadata"]["labels"] for each in of_kind("Deployment")]
    operated = {
        each[monitor["spec"]["jobLabel"]]
        for monitor in of_kind("PodMonitor")
        for each in labels
        if each["app"] == monitor["spec"]["selector"]["matchLabels"]["app"]
    }
    assert operated == jobs, "the rules hold under Compose and under Kubernetes"
    return jobs


def _values() -> Mapping[str, set[str]]:
    """The values that labels with a fixed set of them take, by what the code really yields."""
    line = QueueLine("mail", 0, 0, 0, 0, None, 0)
    seen = overview(TaskView(), 0.0)._replace(queues=[line])
    samples: list[Sample] = [*journal_samples(seen, KnownQueues()), *schedule_samples([])]
    samples += run_samples(WorkerCounts())
    found: dict[str, set[str]] = {"job": _jobs() | {"journeyman-.*"}}
    for sample in samples:
        for label, value in zip(BY_NAME[sample.name].labels, sample.labels, strict=True):
            if label in {"state", "kind"}:
                found.setdefault(label, set()).add(value)
    return found


VALUES = _values()


def _aggregated(node: Any, innermost: str = "") -> Iterator[tuple[str, str]]:
    """The selectors below a node, each with the aggregation next above it."""
    if isinstance(node, VectorSelector):
        yield str(node.name), innermost
    elif isinstance(node, MatrixSelector):
        yield str(node.vector_selector.name), innermost
    elif isinstance(node, BinaryExpr):
        yield from _aggregated(node.lhs, innermost)
        yield from _aggregated(node.rhs, innermost)
    elif isinstance(node, AggregateExpr):
        yield from _aggregated(node.expr, str(node.op))
    elif isinstance(node, Call):
        for argument in node.args:
            yield from _aggregated(argument, innermost)
    elif isinstance(node, ParenExpr | UnaryExpr):
        yield from _aggregated(node.expr, innermost)


@pytest.mark.parametrize(("place", "expression"), EXPRESSIONS, ids=[place for place, _ in EXPRESSIONS])
def test_metrics_of_the_journal_are_the_max_over_services(place: str, expression: str) -> None:
    found = list(_aggregated(_parse(expression)))
    assert len(found) == len(_selectors(expression)[0])
    for series, innermost in found:
        metric = BY_NAME.get(_metric_of(series)[0])
        if metric is not None and metric.exporter is Exporter.JOURNAL:
            assert innermost == "max", f"every service says the same, so {series} is never summed: {place}"


def test_dashboard_shows_every_metric() -> None:
    shown = {_metric_of(str(selector.name))[0] for _, each in EXPRESSIONS for selector in _selectors(each)[0]}
    assert not BY_NAME.keys() - shown, "a metric that no rule and no panel uses"


def test_prometheus_scrapes_ports_that_are_served() -> None:
    served = {}
    for command in COMMANDS:
        kind, _, name = command.place.partition(" ")
        if kind == "compose":
            served[name] = port_of(command.arguments)
    for scrape in PROMETHEUS["scrape_configs"]:
        for config in scrape.get("static_configs", ()):
            for target in config["targets"]:
                host, _, port = target.partition(":")
                assert served[host] == int(port)
        for config in scrape.get("dns_sd_configs", ()):
            assert all(served[name] == config["port"] for name in config["names"])


def _anchor(title: str) -> str:
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def test_each_alert_leads_to_its_entry_in_the_runbook() -> None:
    text = RUNBOOK.read_text()
    entries = {
        _anchor(title): body
        for title, body in re.findall(r"^### (.*?)\n(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL)
    }
    for rule in ALERTS:
        page, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert (ROOT / page) == RUNBOOK
        assert f"`{rule['alert']}`" in entries[anchor], f"the entry {anchor} does not name {rule['alert']}"
        assert rule["labels"]["severity"] in {"page", "ticket"}
    for anchor, body in entries.items():
        assert re.findall(r"^\*\*(\w[\w ]*)\.\*\*", body, re.MULTILINE) == ["Symptom", "Look at", "Do"], anchor
    assert set(re.findall(r"\(#([\w-]+)\)", text)) <= entries.keys()


def test_commands_of_the_runbook_exist() -> None:
    lines = re.findall(r"`journeyman ([^`]*)`", RUNBOOK.read_text())
    lines += re.findall(r"^    journeyman (.*?)(?: +#.*)?$", RUNBOOK.read_text(), re.MULTILINE)
    assert len(lines) > 15
    for line in lines:
        arguments = [re.sub("^[A-Z]+$", "x", word) for word in shlex.split(line)]
        assert is_command(arguments), line


def test_promtool_accepts_the_rules() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed here; the expressions are parsed above")
    done = subprocess.run(
        [promtool, "check", "rules", str(DEPLOY / "prometheus" / "alerts.yml")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
