"""The queries of the generated dashboards, and a client of Prometheus that runs them as Grafana does."""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

FOLDER = Path(__file__).parent / "dashboards"


@dataclass(frozen=True, kw_only=True)
class Target:
    """A query of a panel."""

    expr: str
    legend: str
    #: Whether the panel shows the present alone.
    instant: bool


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A panel of a dashboard.

    Args:
        kind: Grafana's type, such as `timeseries`.
        repeat: variable of which each value gets a panel of its own.
        texts: value -> its text.
        settings: the panel's JSON.
    """

    title: str
    kind: str
    unit: str
    repeat: str | None
    texts: Mapping[str, str]
    targets: Sequence[Target]
    settings: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Dashboard:
    """A generated dashboard.

    Args:
        variables: name -> the query of its values.
        notes: name of an annotation -> its query.
    """

    name: str
    title: str
    panels: Sequence[Panel]
    variables: Mapping[str, str]
    notes: Mapping[str, str]


def read(folder: Path = FOLDER) -> list[Dashboard]:
    """The dashboards of a folder, by the names of their files."""
    return [
        _dashboard(path.stem, json.loads(path.read_text("utf-8"))) for path in sorted(folder.glob("*.json"))
    ]


def _dashboard(name: str, document: Mapping[str, Any]) -> Dashboard:
    variables = {
        variable["name"]: variable["query"]["query"]
        for variable in document["templating"]["list"]
        if variable["type"] == "query"
    }
    return Dashboard(
        name=name,
        title=document["title"],
        panels=[_panel(panel) for panel in document["panels"] if panel["type"] != "row"],
        variables=variables,
        notes={note["name"]: note["expr"] for note in document["annotations"]["list"]},
    )


def _panel(panel: Mapping[str, Any]) -> Panel:
    defaults = panel["fieldConfig"]["defaults"]
    return Panel(
        title=panel["title"],
        kind=panel["type"],
        unit=defaults["unit"],
        repeat=panel.get("repeat"),
        texts={
            value: result["text"]
            for mapping in defaults.get("mappings", ())
            for value, result in mapping["options"].items()
        },
        targets=[
            Target(expr=target["expr"], legend=target["legendFormat"], instant=target["instant"])
            for target in panel["targets"]
        ],
        settings=panel,
    )


def substitute(text: str, values: Mapping[str, str]) -> str:
    """The text with the values of its variables. Raises KeyError for a variable that has none."""
    return re.sub(r"\$(?:{(\w+)}|(\w+))", lambda name: values[name[1] or name[2]], text)


def label(legend: str, labels: Mapping[str, str]) -> str:
    """The name of a series in the legend; a label that the series lacks becomes empty, as in Grafana."""
    return re.sub(r"{{\s*(\w+)\s*}}", lambda name: labels.get(name[1], ""), legend)


@dataclass(frozen=True, kw_only=True)
class Series:
    """A series of a result.

    Args:
        times: seconds since 1970, ascending.
        values: one for each time; they may be NaN.
    """

    labels: Mapping[str, str]
    times: Sequence[float]
    values: Sequence[float]

    @property
    def steady(self) -> bool:
        """Whether all values are equal."""
        return len(set(self.values)) == 1

    @property
    def broken(self) -> bool:
        return any(map(math.isnan, self.values))


class Prometheus:
    """The HTTP API of a Prometheus.

    Raises:
        ValueError: by every method, if Prometheus refuses the query; the message has its reason.
    """

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=30)

    def close(self) -> None:
        self._client.close()

    def range(self, expr: str, *, start: float, end: float, step: float) -> list[Series]:
        """A query over time; times in seconds since 1970, the step in seconds."""
        found = self._get("query_range", query=expr, start=start, end=end, step=step)["result"]
        return list(_series(found, "values"))

    def instant(self, expr: str, *, time: float) -> list[Series]:
        """A query of one point in time, in seconds since 1970."""
        found = self._get("query", query=expr, time=time)["result"]
        return list(_series([each | {"values": [each["value"]]} for each in found], "values"))

    def values(self, query: str, *, start: float, end: float) -> list[str]:
        """The result of ``label_values(SELECTOR, LABEL)``, which Grafana turns into a request for labels."""
        match = re.fullmatch(r"label_values\((.*), (\w+)\)", query)
        if match is None:
            raise ValueError(f"{query}: expected label_values(SELECTOR, LABEL)")
        path = f"label/{match[2]}/values"
        found: list[str] = self._get(path, **{"match[]": match[1]}, start=start, end=end)
        return found

    def rules(self) -> list[dict[str, Any]]:
        """All rules, each with its health."""
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def _get(self, path: str, **parameters: Any) -> Any:
        answer = self._client.get(f"/api/v1/{path}", params=parameters)
        if answer.status_code != 200:
            raise ValueError(f"{parameters}: {answer.text}")
        return answer.json()["data"]


def _series(found: Sequence[Mapping[str, Any]], key: str) -> Iterator[Series]:
    for each in found:
        times, values = zip(*each[key], strict=True)
        yield Series(labels=each["metric"], times=times, values=[float(value) for value in values])
