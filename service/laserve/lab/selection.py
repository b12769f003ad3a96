"""``laserve bench selection``: gain from choosing reward models, measured on the user's questions."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from laserve.config import Settings
from laserve.errors import ConfigError
from laserve.lab.charts.chart import check_matplotlib
from laserve.lab.data import needs, reading
from laserve.lab.data.documents import cut as cut_documents
from laserve.lab.data.reading import RowFile
from laserve.lab.data.row import Row
from laserve.lab.output import check_writable, counted, machine, show, write_json, write_text
from laserve.lab.pools.build import build
from laserve.lab.pools.held_out import Seen, cross_fitted, held_out
from laserve.lab.pools.pool import Pool, check_pyarrow, read
from laserve.lab.pools.restrict import restricted
from laserve.lab.progress import progress
from laserve.lab.replay.learners import policies_of
from laserve.lab.report.figures import figures
from laserve.lab.report.markdown import markdown
from laserve.lab.report.page import page
from laserve.lab.report.sections import sections
from laserve.lab.report.study import Plan
from laserve.lab.report.study import run as study
from laserve.lab.report.tabular import summary

#: Default file of the pool: in the report's folder, beside the JSON, or in the working directory.
POOL = "selection-pool.parquet"
#: Names of the report in its folder.
HTML, MARKDOWN = "selection.html", "selection.md"


@dataclass(frozen=True, kw_only=True)
class _Cut:
    """The part of the files that is used."""

    #: Usable rows of each file, the first ones; None for all.
    rows: int | None
    #: Documents, and passages of documents, that a question keeps, as in ``laserve demo``.
    documents: int | None
    passages: int | None
    #: Whether a record that cannot be read is an error.
    strict: bool


def run(
    settings: Settings,
    *,
    data: Sequence[Path],
    pool: Path | None,
    out: Path | None,
    report: Path | None,
    rows: int | None = None,
    documents: int | None = None,
    passages: int | None = None,
    at_once: int = 4,
    trained_on: Path | None = None,
    cross_fit: Sequence[str] = (),
    policies: Sequence[str] = ("linucb",),
    orders: int = 20,
    shadow_share: float = 0.25,
    strict: bool = False,
) -> None:
    """Build the pool unless its file exists, replay it, print the findings, and write the report.

    Args:
        data: files of rows for `needs.selecting`; if the pool exists, it is restricted to the questions of
            these files.
        pool: the parquet file.
        out: JSON file for all figures, by the keys of `laserve.lab.report.figures.figures`.
        report: folder for the page of HTML and the Markdown.
        rows: usable rows of each file that are used, the first ones; None for all.
        documents, passages: documents and passages that a question keeps, as in ``laserve demo``.
        trained_on: file in the format of `Seen.read`.
        cross_fit: ``NAME=ARM,ARM``, as in `cross_fitted`.
        at_once: questions that are built concurrently.
        policies, orders, shadow_share: as in `Plan`.
        strict: whether a record that cannot be read is an error.

    Raises:
        ConfigError: a setting or an option is wrong, or nothing is left to replay.
        InvalidRequest: a file cannot be read, or a record cannot and `strict` is set.
        Unavailable: the engine failed; the same command resumes the build.
    """
    check_pyarrow()
    if report:
        check_matplotlib("--report")
        for name in (HTML, MARKDOWN):
            check_writable(report / name, "--report", parents=True)
    policies_of(policies, settings.policy)  # fails before hours are spent on the pool
    fits = [_fit(option) for option in cross_fit]
    plan = Plan(policy=settings.policy, learners=tuple(policies), orders=orders, shadow_share=shadow_share)
    seen = Seen.read(trained_on) if trained_on else Seen()
    cut = _Cut(rows=rows, documents=documents, passages=passages, strict=strict)
    path = pool or (report or (out.parent if out else Path())) / POOL
    built = _pool(settings, path, data, cut=cut, seen=seen, at_once=at_once)
    for name, parts in fits:
        built = cross_fitted(built, name, parts, seen)
    built = held_out(built, seen)
    with progress("replaying") as report_done:
        replayed = study(built, plan, report_done.reach)
    results = figures(replayed) | {"machine": machine()}
    _print(results)
    if out:
        write_json(out, results)
    if report:
        write_text(report / HTML, page(results), "--report")
        write_text(report / MARKDOWN, markdown(results), "--report")


def _fit(option: str) -> tuple[str, list[str]]:
    """Name and parts of a cross-fitted arm."""
    name, named, parts = option.partition("=")
    if not (name and named and parts):
        raise ConfigError.at("--cross-fit", f"is NAME=ARM,ARM, not {option!r}")
    return name, parts.split(",")


def _pool(
    settings: Settings, path: Path, data: Sequence[Path], *, cut: _Cut, seen: Seen, at_once: int
) -> Pool:
    """The pool from the file, or a new one from the data."""
    configured = [arm.name for arm in settings.arms]
    if path.exists():
        pool = read(path)
        seen.check([*pool.arms, *configured])
        return restricted(pool, path, *_rows(data, cut)) if data else pool
    seen.check(configured)
    if not data:
        raise ConfigError.at("--data", f"needed to build a pool, since {path} is not there")
    check_writable(path, "--pool", parents=True)
    _, rows, left_out = _rows(data, cut)
    return asyncio.run(build(settings, rows, out=path, left_out=left_out, seen=seen, at_once=at_once))


def _rows(data: Sequence[Path], cut: _Cut) -> tuple[list[RowFile], list[Row], Mapping[str, int]]:
    """Files, their usable rows, and the number of rows left out by reason."""
    files = reading.read(data, strict=cut.strict)
    rows: list[Row] = []
    left_out: Counter[str] = Counter()
    for file in files:
        usable, others = needs.required(file, needs.selecting, "be replayed")
        rows += [
            cut_documents(row, documents=cut.documents, passages=cut.passages) for row in usable[: cut.rows]
        ]
        left_out.update(others)
    return files, rows, left_out


def _print(figures: Mapping[str, Any]) -> None:
    """Print the findings, and the policies over the questions in F1, or over all if no question is in F1."""
    findings, *_ = sections(figures)
    block, measured = (figures, "measured in F1") if figures["questions"] else (figures["mixture"], "in all")
    title = f"Whole run, 95% intervals: {counted(block['questions'], 'question')} {measured}"
    show(
        replace(findings.tables[0], title=findings.title),
        replace(summary(block), title=title),
        figures["machine"],
    )
