"""Sections of a report in their order, made from its figures."""

from collections.abc import Mapping
from typing import Any

from laserve.lab.output import Table, counted
from laserve.lab.replay.learning import BLEND
from laserve.lab.report import pictures
from laserve.lab.report.blocks import QUALITY
from laserve.lab.report.tabular import (
    TITLES,
    Section,
    ci95,
    difference,
    estimate,
    learned,
    policies,
)
from laserve.lab.statistics import RESAMPLES

_HOW = (
    "Every learner starts cold and gets the questions in {orders} random orders; a question's figure is "
    "the mean over the orders. Intervals are 95%, studentised, from {resamples:,} resamples of the sources "
    "(such as articles). Below some fifteen sources they are wide; a difference over three or fewer, or to "
    "which fewer than four contribute, has none; a mean over two or three may lie anywhere in its range; "
    "and where nearly all sources have the least or the greatest value, bounds are binomial.",
    "The best single arm and the best arm of each task are those with the highest means over all questions, "
    "which overrates the best of several close arms; differences are to these arms. “Chosen on other "
    "sources” is what a choice made on four fifths of the sources gets on the other fifth.",
    "A learner without a suffix learns the reward of its own answer. :full also learns the rewards of all "
    "arms on {share:.0%} of the requests (shadow), and of the free arms on each request; :delayed learns "
    "its own reward {delay} requests later; -bias-only sees nothing of the request; +blend has the "
    "combination as one of its arms, which calls all other arms when it is drawn, and learns its weights on "
    "the shadowed requests alone. random is the exact mean over the arms. An arm without scores of a "
    "question counts as a random draw of the arms with scores.",
    "Differences are in points, 1/100 of the metric's range. The best arm per task and the best candidate "
    "are chosen with hindsight, which no policy has.",
)


def sections(figures: Mapping[str, Any]) -> list[Section]:
    """All sections of the report."""
    replay = figures["replay"]
    how = [
        text.format(
            orders=replay["orders"],
            share=replay["shadow_share"],
            delay=replay["delay"],
            resamples=RESAMPLES,
        )
        for text in _HOW
    ]
    return [
        _findings(figures),
        Section(title="How to read it", says=tuple(how)),
        *_blocks(figures),
        _learning(figures),
        _best_of(figures),
        *([_prior(figures["prior"])] if figures["prior"] else []),
        _limits(figures),
        _tasks(figures),
        _made(figures),
    ]


def _findings(figures: Mapping[str, Any]) -> Section:
    rows = [
        (
            "" if index else finding["about"],
            f"{one['of']} against {one['against']}, {one['over']}",
            difference({QUALITY: one["value"], "ci95": ci95(one)}, QUALITY),
            one["verdict"],
        )
        for finding in figures["findings"]
        for index, one in enumerate(finding["comparisons"])
    ]
    says = tuple(finding["says"] for finding in figures["findings"] if finding["says"])
    columns = ("", "compared", "points (95%)", "")
    return Section(title="Findings", says=says, tables=(Table(columns=columns, rows=rows, texts=True),))


def _blocks(figures: Mapping[str, Any]) -> list[Section]:
    """A section for each metric, and one for all questions; metrics are not averaged."""
    made = [_block(figures, "Answers measured in F1")] if figures["questions"] else []
    for metric, block in figures["metrics"].items():
        made.append(_block(block, f"Answers measured in {TITLES.get(metric, metric)}"))
    mixture = _block(figures["mixture"], "All questions")
    note = (
        "Quality is what the learners learn from: F1, or another metric from 0 to 1, as each question has it."
    )
    return [*made, Section(**{**vars(mixture), "says": (note, *mixture.says)})]


def _block(block: Mapping[str, Any], title: str) -> Section:
    gap, metric = block["gap"], block["metric"]
    single, crossed = block["best_single"]["arm"], difference(gap["cross_fitted"], metric)
    says = f"{counted(block['questions'], 'question')} of {counted(block['sources'], 'source')}. "
    if len(block["best_arm"]["arms"]) > 1:
        says += (
            f"The best arm of each task gains {difference(gap, metric).text} points over the best single "
            f"arm, {single}; with arms chosen on other sources, {crossed.text}."
        )
    else:
        says += f"They are of one task, for which {single} is the best arm."
    return Section(
        title=title, says=(says,), charts=(pictures.differences(block),), tables=(policies(block),)
    )


def _learning(figures: Mapping[str, Any]) -> Section:
    arms = [*(arm["name"] for arm in figures["pool"]["arms"]), BLEND]
    drawn = pictures.shares(figures, arms)
    rows = [
        (learner, task, *(f"{100 * by_arm[arm]:.0f}" if arm in by_arm else "-" for arm in arms))
        for learner, by_task in figures["shares"].items()
        for task, by_arm in by_task.items()
    ]
    return Section(
        title="Learning",
        charts=(*pictures.learned(figures), *drawn),
        tables=(
            learned(figures),
            Table(columns=("learner", "task", *(f"{arm} %" for arm in arms)), rows=rows, names=2),
        ),
    )


def _best_of(figures: Mapping[str, Any]) -> Section:
    falling = [
        f"{arm} on {task} from k = {k} on"
        for task, curves in figures["best_of_k"].items()
        for arm, k in curves["falls"].items()
    ]
    says = (
        "The expected quality of the best of k candidates by each arm, exact over all k-subsets. Where a "
        "curve falls, the arm is over-optimised: more candidates give it more chances to be wrong. "
        + (
            f"Highest before the last k: {'; '.join(falling)}."
            if falling
            else "No curve is highest before its end."
        )
    )
    rows = [
        (
            task,
            arm,
            *(f"{100 * values[k - 1]:.1f}" if k <= len(curves["k"]) else "-" for k in (1, 2, 4, 8)),
        )
        for task, curves in figures["best_of_k"].items()
        for arm, values in {**curves["arms"], "possible": curves["possible"]}.items()
    ]
    return Section(
        title="Quality against the number of candidates",
        says=(says,),
        charts=tuple(pictures.best_of(figures)),
        tables=(Table(columns=("task", "arm", "k = 1", "2", "4", "8"), rows=rows, names=2),),
    )


def _prior(figures: Mapping[str, Any]) -> Section:
    rows = [
        (name, estimate({QUALITY: row["value"], "ci95": ci95(row)}, QUALITY))
        for name, row in figures.items()
        if name != "requests"
    ]
    return Section(
        title="Gain from the prior",
        says=(
            f"Over the first {figures['requests']} requests of each order, learning from the answer's own "
            "reward. Rows that the prior was made from overstate its gain.",
        ),
        tables=(Table(columns=("", "points of quality (95%)"), rows=rows),),
    )


def _limits(figures: Mapping[str, Any]) -> Section:
    bounds = figures["limits"]
    rows = [
        (
            task,
            str(row["questions"]),
            f"{100 * row['best_single']:.1f}",
            row["arm"],
            f"{100 * row['gain']:+.1f}",
            f"{100 * row['cross_fitted_gain']:+.1f}",
        )
        for task, row in bounds["by_task"].items()
    ]
    rows += [
        ("all, best arm of each question", "", "", "", f"{100 * bounds['best_per_question']:+.1f}", ""),
        ("all, best candidate of each question", "", "", "", f"{100 * bounds['best_candidate']:+.1f}", ""),
    ]
    return Section(
        title="Limits of the gain from choosing arms",
        says=(
            f"Against {bounds['best_single']}, the best single arm over all questions. On "
            f"{100 * bounds['alike']:.0f}% of them all arms' answers are equally good, and nothing can "
            "be won by choosing.",
        ),
        tables=(
            Table(
                columns=(
                    "task",
                    "questions",
                    bounds["best_single"],
                    "best arm",
                    "gain",
                    "gain, arms chosen on other sources",
                ),
                rows=rows,
            ),
        ),
    )


def _tasks(figures: Mapping[str, Any]) -> Section:
    return Section(
        title="By task",
        within=tuple(_block(block, task) for task, block in figures["tasks"].items()),
    )


def _made(figures: Mapping[str, Any]) -> Section:
    pool, replay = figures["pool"], figures["replay"]
    rows = [
        ("questions", "; ".join(f"{file}: {count}" for file, count in pool["files"].items())),
        ("left out", "; ".join(f"{why}: {count}" for why, count in pool["left_out"].items()) or "none"),
        ("without scores", "; ".join(f"{arm}: {count}" for arm, count in pool["unscored"].items()) or "none"),
        (
            "arms",
            "; ".join(
                f"{arm['name']} ({arm['kind']}{', free' if arm['free'] else ''})" for arm in pool["arms"]
            ),
        ),
        ("generator", _listed(pool["generator"])),
        ("sampling", _listed(pool["sampling"])),
        ("context", _listed(pool["context"])),
        (
            "learners",
            f"{', '.join(replay['learners'])}; {_listed(replay['parameters'])}; seed {replay['seed']}",
        ),
        (
            "made by",
            f"laserve {pool['laserve']}" + (f"; {figures['machine']}" if "machine" in figures else ""),
        ),
    ]
    return Section(title="Data and settings", tables=(Table(columns=("", ""), rows=rows, texts=True),))


def _listed(values: Mapping[str, Any]) -> str:
    """Names with their values, without those that are not set; the values of a list in parentheses."""
    texts = {
        name: f"({', '.join(map(str, value))})" if isinstance(value, list | tuple) else value
        for name, value in values.items()
        if value not in (None, [], ())
    }
    return ", ".join(f"{name} {text}" for name, text in texts.items())
