"""The figures of a report: one metric at a time, and all that is promised of them."""

import json
from typing import Any

import numpy as np
import pytest

from laserve.lab.report.figures import figures as all_figures
from laserve.lab.report.study import Study, run
from report_pools import make_plan, make_report_pool

POLICIES = {
    "random",
    "fixed:short",
    "fixed:long",
    "fixed:kind",
    "fixed:lost",
    "ensemble-mean",
    "ensemble-rank",
    "blend",
    "linucb",
    "linucb:full",
    "linucb:delayed",
    "linucb-bias-only",
    "linucb-bias-only:full",
    "linucb+blend:full",
}
KEYS = {
    "f1",
    "ci95",
    "rm_calls",
    "shadow_calls",
    "free_calls",
    "difference_to_random",
    "difference_to_best_single",
}


def test_every_policy_has_every_figure_for_the_whole_run_and_the_last_third(figures: dict[str, Any]) -> None:
    assert set(figures["policies"]) == POLICIES
    for row in figures["policies"].values():
        assert set(row) == KEYS | {"last_third"}
        assert set(row["last_third"]) == KEYS
        for difference in ("difference_to_random", "difference_to_best_single"):
            assert set(row[difference]) == {"f1", "ci95"}
        low, high = row["ci95"]
        assert low <= row["f1"] <= high


def test_f1_is_of_the_questions_in_f1_alone(figures: dict[str, Any], study: Study) -> None:
    rows = study.whole.table.where(metric="f1")
    assert figures["questions"] == rows.sum() == 120
    assert figures["policies"]["fixed:short"]["f1"] == pytest.approx(
        study.whole.table.rewards[rows, 0].mean()
    )
    assert set(figures["metrics"]) == {"preference", "correctness"}
    assert "f1" not in figures["metrics"]["preference"]["policies"]["linucb"]
    assert set(figures["tasks"]) == {"single-doc-qa", "multi-doc-qa", "harmless", "math"}
    assert figures["mixture"]["metric"] == "quality"
    assert figures["mixture"]["questions"] == 240


def test_best_arms_are_told_by_task_and_the_best_single_arm_by_name(figures: dict[str, Any]) -> None:
    assert figures["best_arm"]["arms"] == {"single-doc-qa": "short", "multi-doc-qa": "long"}
    assert figures["best_single"]["arm"] in ("short", "long")
    assert figures["best_single"]["f1"] < figures["best_arm"]["f1"] < figures["best_candidate"]["f1"]
    assert figures["gap"]["f1"] == pytest.approx(figures["best_arm"]["f1"] - figures["best_single"]["f1"])
    assert figures["tasks"]["harmless"]["best_single"]["arm"] == "kind"


def test_calls_are_totals_of_one_run(figures: dict[str, Any]) -> None:
    block = figures["mixture"]["policies"]
    assert block["linucb"]["rm_calls"] == pytest.approx(240)
    assert block["linucb"]["shadow_calls"] == 0
    assert block["ensemble-mean"]["rm_calls"] == pytest.approx(960)
    assert block["fixed:kind"]["free_calls"] == pytest.approx(240)
    assert block["linucb:full"]["shadow_calls"] == pytest.approx(0.25 * 3 * 240, rel=0.2)
    assert block["linucb"]["last_third"]["rm_calls"] == pytest.approx(80)


def test_the_figures_are_json_and_the_same_each_time(figures: dict[str, Any]) -> None:
    assert json.dumps(figures, allow_nan=False)
    one, again = (all_figures(run(make_report_pool(40), make_plan())) for _ in range(2))
    assert json.dumps(one, allow_nan=False) == json.dumps(again, allow_nan=False)


def test_what_the_report_was_made_of_is_in_it(figures: dict[str, Any]) -> None:
    assert figures["pool"]["left_out"] == {"bad | row": 2}
    assert figures["pool"]["files"] == dict.fromkeys(figures["tasks"], 60)
    assert figures["replay"]["orders"] == 4
    assert figures["replay"]["parameters"]["alpha"] == 0.2
    assert figures["replay"]["delay"] == 50


def test_learners_end_up_with_the_arm_of_each_task(figures: dict[str, Any]) -> None:
    for task, arm in (("single-doc-qa", "short"), ("multi-doc-qa", "long"), ("harmless", "kind")):
        by_arm = figures["shares"]["linucb:full"][task]
        assert sum(by_arm.values()) == pytest.approx(1)
        assert max(by_arm, key=by_arm.__getitem__) == arm


def test_learning_curves_are_of_all_learners_and_the_bounds(figures: dict[str, Any]) -> None:
    learning = figures["learning"]
    assert set(learning["policies"]) == {name for name in POLICIES if "linucb" in name} | {
        "best single",
        "best arm per task",
    }
    assert all(len(line) == len(learning["position"]) for line in learning["policies"].values())
    assert learning["position"][0] == learning["window"]
    assert learning["position"][-1] == 240
    line = learning["policies"]["linucb:full"]
    assert np.mean(line[-20:]) > np.mean(line[:5])


def test_arms_chosen_on_other_sources_stand_beside_the_best_ones(figures: dict[str, Any]) -> None:
    for block in (figures, figures["mixture"], *figures["tasks"].values()):
        metric = block["metric"]
        for best in ("best_single", "best_arm", "gap"):
            crossed = block[best]["cross_fitted"]
            assert crossed["ci95"][0] <= crossed[metric] <= crossed["ci95"][1]
        for best in ("best_single", "best_arm"):
            assert block[best]["cross_fitted"][metric] <= block[best][metric] + 1e-9
    assert figures["best_single"]["cross_fitted"]["folds"] == 5
    assert figures["best_arm"]["cross_fitted"]["folds"] == {"single-doc-qa": 5, "multi-doc-qa": 5}
    crossed = figures["gap"]["cross_fitted"]["f1"]
    parts = (figures[best]["cross_fitted"]["f1"] for best in ("best_arm", "best_single"))
    assert crossed == pytest.approx(next(parts) - next(parts))


def test_a_pool_without_f1_has_no_figures_in_f1() -> None:
    questions = tuple(one for one in make_report_pool(80).questions if one.metric == "preference")
    result = all_figures(run(make_report_pool(questions=questions), make_plan(orders=1)))
    assert (result["questions"], result["policies"]) == (0, {})
    assert set(result["metrics"]) == {"preference"}
