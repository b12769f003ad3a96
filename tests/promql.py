"""What a PromQL expression reads: metrics, and the labels that it selects and groups by."""

import re
from collections.abc import Iterator, Mapping

from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.registry import REGISTRY

from laserve.metrics import Metrics
from laserve.metrics.scales import OptionalGauge

#: Words of PromQL that are not followed by a parenthesis.
WORDS = {"and", "or", "unless", "offset", "bool", "inf", "nan"}
#: Words before a list of labels.
GROUPS = "by|without|on|ignoring|group_left|group_right"
#: Labels that the scrape adds.
SCRAPED = {"instance", "job"}

NAME = r"[A-Za-z_:][A-Za-z0-9_:]*"
_STRING = r'"[^"]*"'
_BRACES = rf"{{(?:[^}}\"]|{_STRING})*}}"


def exported() -> dict[str, set[str]]:
    """Every series that a scrape of laserve may have: its name -> its labels."""
    metrics = Metrics()
    for metric in vars(metrics).values():
        if isinstance(metric, OptionalGauge):
            metric.publish(1)
        elif isinstance(metric, MetricWrapperBase) and metric._labelnames:
            metric.labels(*metric._labelnames)
    families = [*metrics.registry.collect()]
    families += [family for family in REGISTRY.collect() if family.name.startswith("process_")]
    series: dict[str, set[str]] = {"up": set(SCRAPED)}
    for family in families:
        for sample in family.samples:
            series.setdefault(sample.name, set()).update(sample.labels, SCRAPED)
    return series


def selectors(expr: str) -> Iterator[tuple[str, str]]:
    """The metrics of an expression, each with its braces, or an empty string."""
    text = re.sub(rf"\b(?:{GROUPS})\s*\([^)]*\)", " ", expr)
    text = re.sub(r"\[[^]]*\]|\boffset\s+\S+", " ", text)
    for match in re.finditer(rf"({NAME})\s*({_BRACES})?(\s*\()?", text):
        name, braces, call = match.groups()
        if not call and name not in WORDS:
            yield name, braces or ""


def matched(braces: str) -> set[str]:
    """Labels that a selector names."""
    return set(re.findall(rf"({NAME})\s*(?:=~|!~|!=|=)", re.sub(_STRING, '""', braces)))


def grouped(expr: str) -> Iterator[tuple[set[str], str]]:
    """The labels of each aggregation, with the first metric that it aggregates."""
    for match in re.finditer(r"\bby\s*\(([^)]*)\)\s*(\(.*)", expr, re.DOTALL):
        yield _names(match[1]), next(selectors(match[2]))[0]


def joined(expr: str) -> set[str]:
    """Labels by which two sides are matched."""
    return {name for match in re.findall(r"\bon\s*\(([^)]*)\)", expr) for name in _names(match)}


def problems(expr: str, series: Mapping[str, set[str]]) -> list[str]:
    """Names of an expression that do not exist: metrics, and labels that their metrics do not have."""
    found = []
    for name, braces in selectors(expr):
        if name not in series:
            found.append(f"no metric {name}")
        found += [f"{name} has no label {label}" for label in matched(braces) - series.get(name, set())]
    for labels, name in grouped(expr):
        found += [f"{name} has no label {label}" for label in labels - series.get(name, set())]
    known = set().union(*(series.get(name, set()) for name, _ in selectors(expr)))
    found += [f"no metric has the label {label}" for label in joined(expr) - known]
    return found


def _names(listed: str) -> set[str]:
    return {name.strip() for name in listed.split(",") if name.strip()}
