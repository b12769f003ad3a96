"""Quality over the candidates, and what a prior is worth in the first requests."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from laserve.lab.report.curves import best_of_k
from laserve.lab.report.figures import figures as all_figures
from laserve.lab.report.markdown import markdown
from laserve.lab.report.study import run
from report_pools import POLICY, make_plan, make_report_pool


def test_without_a_prior_the_report_is_silent(figures: dict[str, Any]) -> None:
    assert figures["prior"] is None
    assert "Gain from the prior" not in markdown(figures)


def test_a_prior_that_knows_the_bad_arm_gains_in_the_first_requests(tmp_path: Path) -> None:
    path = tmp_path / "prior.json"
    path.write_text('{"lost": {"reward": 0.1, "n": 20}, "long": {"reward": 0.7, "n": 20}}')
    plan = make_plan(policy=POLICY.model_copy(update={"prior": path}), orders=2)
    report = all_figures(run(make_report_pool(), plan))
    result = report["prior"]
    assert result["requests"] == 100
    assert result["difference"]["value"] > 0
    assert result["difference"]["low"] <= result["difference"]["value"] <= result["difference"]["high"]
    assert abs(result["prior"]["value"] - result["cold"]["value"] - result["difference"]["value"]) < 1e-9
    assert "linucb:prior" in report["policies"]
    assert "linucb:prior:full" not in report["policies"]
    assert "Gain from the prior" in markdown(report)


def test_curves_of_best_of_k_tell_where_they_fall() -> None:
    result = best_of_k(make_report_pool(400))
    short = result["single-doc-qa"]
    assert short["k"] == [1, 2, 3, 4, 5, 6]
    assert short["arms"]["short"][-1] == max(short["arms"]["short"])
    assert "short" not in short["falls"]
    assert short["arms"]["short"][0] == pytest.approx(short["arms"]["lost"][0]), "k = 1 is a random candidate"
    assert all(p >= v for p, v in zip(short["possible"], short["arms"]["short"], strict=True))
    assert result["harmless"]["k"] == [1, 2]


def test_a_curve_that_stays_level_does_not_fall() -> None:
    pool = make_report_pool(40)
    level = tuple(replace(one, qualities=np.full(len(one.qualities), 0.1)) for one in pool.questions)
    result = best_of_k(replace(pool, questions=level))
    assert all(curves["falls"] == {} for curves in result.values())
    rising = tuple(replace(one, qualities=-one.scores["short"]) for one in pool.questions)
    falling = best_of_k(replace(pool, questions=rising))
    assert all(curves["falls"]["short"] == 1 for curves in falling.values())
