"""Tables of the arms' metrics on preferences and on right and wrong answers."""

from collections.abc import Mapping, Sequence
from typing import Any

from laserve.lab.output import Table, counted
from laserve.lab.reward_models.ppe.domains import plain
from laserve.lab.reward_models.ppe.evaluate import CORRECTNESS, LONGEST, PREFERENCES, Kind

#: Metric -> title of its column.
_TITLES = {
    "accuracy": "accuracy",
    "brier": "Brier",
    "row_pearson": "row Pearson",
    "spearman": "Spearman",
    "kendall": "Kendall",
    "separability": "separability",
    "confidence_agreement": "conf. agreement",
    "rank_brier": "rank Brier",
    "auc": "AUC",
    "auc_scaled": "AUC, scaled",
    "maximum": "highest",
    "end": "last",
    "loss": "loss",
}
#: Kind -> metric whose interval is shown, and which has a table by domain.
_MAIN = {PREFERENCES.name: "accuracy", CORRECTNESS.name: "end"}


def tables(kind: Kind, figures: Mapping[str, Any]) -> list[Table]:
    """A table of all rows, the curves of correctness, and tables by domain if there are several."""
    arms: Mapping[str, Any] = figures["arms"]
    made = [_overall(kind, figures)]
    if kind is CORRECTNESS:
        made.append(_curves(arms))
    names = list(arms[LONGEST]["domains"])
    if len(names) > 1:
        made += [_domains(arms, names, metric) for metric in dict.fromkeys(("accuracy", _MAIN[kind.name]))]
    return made


def _overall(kind: Kind, figures: Mapping[str, Any]) -> Table:
    main = _MAIN[kind.name]
    rows, notes = [], []
    for arm, one in figures["arms"].items():
        overall = one["overall"]
        interval = overall[main]
        bounded = interval and interval["low"] is not None
        shown = f"{interval['low']:.3f} to {interval['high']:.3f}" if bounded else "-"
        rows.append((arm, *(_shown(overall[metric]) for metric in kind.metrics), shown))
        for reason in dict.fromkeys(overall["missing"].values()):
            lacking = [metric for metric, why in overall["missing"].items() if why == reason]
            notes.append(f"{', '.join(_titles(lacking))}: {reason}")
    notes += [f"{arm}: {counted(count, 'row')} not scored" for arm, count in figures["unscored"].items()]
    return Table(
        title=f"{kind.name}: {counted(figures['rows'], 'row')} of {counted(figures['sources'], 'source')}",
        columns=("arm", *_titles(kind.metrics), f"{_TITLES[main]}, 95%"),
        rows=rows,
        notes=tuple(dict.fromkeys(notes)),
    )


def _domains(arms: Mapping[str, Any], names: Sequence[str], metric: str) -> Table:
    rows = []
    for arm, one in arms.items():
        worst = (one["worst"] or {}).get(metric)
        cells = [_shown(one["domains"][name][metric]) if name in one["domains"] else "-" for name in names]
        rows.append((arm, *cells, worst["domain"] if worst else "-"))
    return Table(title=f"{_TITLES[metric]} by domain", columns=("arm", *names, "worst"), rows=rows)


def _curves(arms: Mapping[str, Any]) -> Table:
    overall = {arm: one["overall"] for arm, one in arms.items()}
    last = min(len(one["curve"]) for one in overall.values())
    shown = [k for k in (1, 2, 4, 8, 16, 32) if k < last] + [last]
    truth = overall[LONGEST]["truth"]  # this row has a score for every row
    rows = [
        (arm, *(f"{one['curve'][k - 1]:.3f}" for k in shown), str(one["maximum_at"]))
        for arm, one in overall.items()
    ]
    return Table(
        title="share of right answers, best of k",
        columns=("arm", *(f"k = {k}" for k in shown), "highest at k"),
        rows=[*rows, ("possible", *(f"{truth[k - 1]:.3f}" for k in shown), "-")],
    )


def _shown(figure: Any) -> str:
    value = plain(figure)
    return "-" if value is None else f"{value:.3f}"


def _titles(metrics: Sequence[str]) -> list[str]:
    return [_TITLES[metric] for metric in metrics]
