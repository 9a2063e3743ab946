"""The page on metrics shows the table of the code; what processes really export is compared with it by their tests."""

from pathlib import Path

from journeyman.tasks.limits import METRIC_QUEUES_MAX
from journeyman.tasks.metrics.table import METRICS, PROCESS_METRICS

PAGE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")


def _rows() -> list[list[str]]:
    table = PAGE.partition("## The table")[2].partition("\n\nValues")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if "`journey" in line]


def test_page_shows_the_table_of_the_code() -> None:
    expected = [
        [
            f"`{metric.name}`",
            metric.kind,
            ", ".join(f"`{label}`" for label in metric.labels) or "-",
            metric.unit or "-",
            metric.exporter.value,
            metric.help,
        ]
        for metric in METRICS
    ]
    assert _rows() == expected


def test_page_names_the_metrics_of_a_process() -> None:
    assert all(f"`{name}`" in PAGE for name in PROCESS_METRICS)
    assert f"the {METRIC_QUEUES_MAX} deepest queues" in PAGE
