"""Write samples in the text formats of Prometheus and OpenMetrics, by `prometheus-client`.

The package belongs to the extras `metrics` and `service`. It is imported at the first scrape, and counts nothing
itself: each scrape reads counts that are kept anyhow.
"""

from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import TYPE_CHECKING, Final, NamedTuple

from .table import BY_NAME, Distribution, Sample

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric as Family

MISSING: Final = (
    "metrics are exported by the package prometheus-client, which is not installed here. Install it with the extra: "
    "pip install 'journeyman[metrics]'"
)


class Exposition(NamedTuple):
    """The body of an answer, and its content type."""

    body: bytes
    content_type: str


class MetricsMissing(Exception):
    """The package that writes metrics is not installed; its text says how to install it."""


def expose(samples: Iterable[Sample | Distribution], accept: str = "") -> Exposition:
    """Return the samples, and those of the process, in the format that `accept` (the request's header) prefers.

    Raises `MetricsMissing` without `prometheus-client`.
    """
    try:
        from prometheus_client import exposition
        from prometheus_client.process_collector import ProcessCollector
    except ImportError as error:
        raise MetricsMissing(MISSING) from error
    encode, content_type = exposition.choose_encoder(accept)
    collected = [*_families(samples), *ProcessCollector(registry=None).collect()]
    return Exposition(encode(_Collected(collected)), content_type)


def build_info() -> Sample:
    """Return the sample that tells the version."""
    from importlib.metadata import version  # a slow import, for a scrape only

    return Sample("journeyman_build_info", (version("journeyman"),), 1)


class _Collected:
    """The collector that the library asks for the metric families."""

    def __init__(self, families: "list[Family]") -> None:
        self._families = families

    def collect(self) -> "Iterable[Family]":
        return self._families


def _families(samples: Iterable[Sample | Distribution]) -> "Iterator[Family]":
    """Group the samples by their metric, in the order in which each first comes."""
    of_metric: dict[str, list[Sample | Distribution]] = {}
    for sample in samples:
        of_metric.setdefault(sample.name, []).append(sample)
    for name, group in of_metric.items():
        yield _family(name, group)


def _family(name: str, group: Iterable[Sample | Distribution]) -> "Family":
    from prometheus_client import metrics_core as core

    metric = BY_NAME[name]
    if metric.kind == "histogram":
        histogram = core.HistogramMetricFamily(name, metric.help, labels=metric.labels)
        for each in group:
            assert isinstance(each, Distribution), f"{name} is a histogram"
            histogram.add_metric(each.labels, _buckets(each), each.total)
        return histogram
    kind = core.CounterMetricFamily if metric.kind == "counter" else core.GaugeMetricFamily
    family = kind(name, metric.help, labels=metric.labels)
    for each in group:
        assert isinstance(each, Sample), f"{name} is no histogram"
        assert len(each.labels) == len(metric.labels), f"{name} has the labels {metric.labels}, got {each.labels}"
        family.add_metric(each.labels, each.value)
    return family


def _buckets(distribution: Distribution) -> list[tuple[str, float]]:
    """Return the counts up to each bound, as Prometheus has them: each class holds those before it."""
    bounds = [*map(str, distribution.bounds), "+Inf"]
    return list(zip(bounds, accumulate(distribution.counts), strict=True))
