"""Metrics that are looked up when they are read, of a service in this process."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from builders import make_feedback, make_sampling
from laserve.api import scrape
from laserve.config import ArmSettings
from laserve.config import load as load_settings
from laserve.serve.lifespan import load, running
from laserve.serve.wiring import make_service
from laserve.service import Service
from laserve.types import Decision
from services import answered, fake_service

FILES = ("database", "wal")


async def sample(service: Service, name: str, **labels: str) -> float | None:
    await scrape.publish(service)
    return service.metrics.registry.get_sample_value(name, labels)


async def labels(service: Service, name: str) -> list[dict[str, str]]:
    """Labels of the samples of a family."""
    await scrape.publish(service)
    families = service.metrics.registry.collect()
    return [sample.labels for family in families if family.name == name for sample in family.samples]


async def test_the_policy_s_kind_of_feedback_is_empty_until_the_first_feedback_fixes_it() -> None:
    async with fake_service() as service:
        policy = {"policy": "linucb", "mode": "live"}
        assert await labels(service, "laserve_policy_info") == [policy | {"learn_from": ""}]
        decision = await answered(service)
        await service.feedback.record(make_feedback("thumb", 1.0, decision_id=decision.id))
        assert await labels(service, "laserve_policy_info") == [policy | {"learn_from": "thumb"}]


async def test_a_configured_kind_of_feedback_is_shown_from_the_start() -> None:
    async with fake_service(**{"policy": {"learn_from": "references"}}) as service:
        (shown,) = await labels(service, "laserve_policy_info")
        assert shown["learn_from"] == "references"


async def test_without_a_snapshot_there_is_neither_a_position_nor_an_age() -> None:
    async with fake_service(**{"storage": {"kind": "memory", "snapshot_every": 5}}) as service:
        names = ("laserve_snapshot_position", "laserve_snapshot_age_seconds")
        assert [await sample(service, name) for name in names] == [None, None]
        decision = await answered(service)
        for number in range(5):
            note = make_feedback("reward", 1.0, decision_id=decision.id, source=f"rater {number}")
            await service.feedback.record(note)
        assert await sample(service, "laserve_snapshot_position") == 5
        age = await sample(service, "laserve_snapshot_age_seconds")
        assert age is not None
        assert 0 <= age < 60


async def test_storage_in_memory_has_no_files_to_measure() -> None:
    async with fake_service() as service:
        await answered(service)
        assert [await sample(service, "laserve_database_bytes", file=name) for name in FILES] == [None, None]
        assert await sample(service, "laserve_database_free_bytes") is None


async def test_a_database_that_has_gone_is_not_measured(tmp_path: Path) -> None:
    flags: dict[str, Any] = {"storage": {"kind": "sqlite"}, "data_dir": str(tmp_path / "data")}
    async with fake_service(**flags) as service:
        assert await sample(service, "laserve_database_bytes", file="database") is not None
        moved = (tmp_path / "data").rename(tmp_path / "elsewhere")
        assert [await sample(service, "laserve_database_bytes", file=name) for name in FILES] == [None, None]
        assert await sample(service, "laserve_database_free_bytes") is None
        moved.rename(tmp_path / "data")


async def test_the_number_of_permits_is_unknown_until_the_generator_has_loaded() -> None:
    service = make_service(load_settings(profile="fake"))
    async with running(service):
        assert await sample(service, "laserve_permits_limit") is None
        await load(service)
        assert await sample(service, "laserve_permits_limit") == service.generator.concurrency


async def test_a_configured_number_of_permits_is_known_from_the_start() -> None:
    service = make_service(load_settings(profile="fake", flags={"server": {"max_concurrent_requests": 3}}))
    async with running(service):
        assert await sample(service, "laserve_permits_limit") == 3


async def test_the_moments_are_those_of_all_scores_that_an_arm_gave() -> None:
    async with fake_service() as service:
        decisions: list[Decision] = []
        for text in "abcd":  # the weights of 192 scores add up to less than 200
            assert await sample(service, "laserve_rm_score_mean", arm="loglik") is None
            decisions.append(await answered(service, prompt=text, sampling=make_sampling(n=64)))
        scores = np.array([score for each in decisions for score in each.scores["loglik"]])
        weights = (1 - 1 / 1000) ** np.arange(len(scores))[::-1]
        mean = np.average(scores, weights=weights)
        sd = np.sqrt(np.average((scores - mean) ** 2, weights=weights))
        assert await sample(service, "laserve_rm_score_mean", arm="loglik") == pytest.approx(mean)
        assert await sample(service, "laserve_rm_score_sd", arm="loglik") == pytest.approx(sd)


async def test_the_moments_of_a_model_end_with_it_also_when_the_arm_is_ready_again_at_the_next_scrape() -> (
    None
):
    async with fake_service() as service:
        for text in "abcd":
            await answered(service, prompt=text, sampling=make_sampling(n=64))
        assert await sample(service, "laserve_rm_score_mean", arm="loglik") is not None
        arm = service.arms.get("loglik")
        assert arm is not None
        await service.arms.unload(arm)
        await service.arms.load_one(arm)
        assert await sample(service, "laserve_rm_score_mean", arm="loglik") is None


async def test_an_arm_that_is_drained_or_retired_shows_no_prediction_and_no_moments() -> None:
    names = ("laserve_arm_mean", "laserve_arm_width", "laserve_rm_score_mean", "laserve_rm_score_sd")
    async with fake_service() as service:
        for text in "abcd":
            await answered(service, prompt=text, sampling=make_sampling(n=64), arm="consensus")
        await answered(service)
        assert None not in [await sample(service, name, arm="consensus") for name in names]
        for status in ("draining", "retired"):
            # The moments are kept while the model is; a prediction is that of the latest decision.
            assert None not in [await sample(service, name, arm="consensus") for name in names[2:]]
            await service.lifecycle.move("consensus", status)
            assert [await sample(service, name, arm="consensus") for name in names] == [None] * 4
            assert await sample(service, "laserve_arm_state", arm="consensus", state=status) == 1
            if status == "draining":
                await service.lifecycle.move("consensus", "enabled")


#: Labels of the arms' counters, with the policy and the tasks of the settings.
BEGUN: dict[str, tuple[dict[str, Any], set[str], str]] = {
    "a policy that draws": ({}, {"loglik", "consensus", "relevance"}, "linucb"),
    "an observed policy": (
        {"mode": "observe", "observe_arm": "loglik"},
        {"loglik", "consensus", "relevance"},
        "observe:linucb",
    ),
    "an ensemble": ({"name": "ensemble-mean"}, {"ensemble-mean"}, "ensemble-mean"),
}


@pytest.mark.parametrize(("policy", "arms", "label"), BEGUN.values(), ids=BEGUN)
async def test_counters_of_the_arms_begin_at_0_for_the_configured_policy_and_each_task(
    policy: dict[str, Any], arms: set[str], label: str
) -> None:
    async with fake_service(**{"policy": policy, "context": {"tasks": ["math"]}}) as service:
        for name in ("laserve_decisions_total", "laserve_answered_total", "laserve_reward_count"):
            for arm in arms:
                for task in ("math", "other", "none"):
                    assert await sample(service, name, arm=arm, policy=label, task=task) == 0
        assert len(await labels(service, "laserve_reward")) == len(arms) * 3 * (10 + 4)
        for counter in ("failed", "non_finite", "truncated", "fallback"):
            for arm in ("loglik", "consensus", "relevance"):
                assert await sample(service, f"laserve_rm_{counter}_total", arm=arm) == 0


async def test_counters_of_an_arm_begin_when_it_joins_and_stay_when_it_leaves() -> None:
    async with fake_service() as service:
        of = {"arm": "joined", "policy": "linucb", "task": "none"}
        assert await sample(service, "laserve_decisions_total", **of) is None
        await service.lifecycle.add(ArmSettings(name="joined", kind="fake"))
        assert await sample(service, "laserve_decisions_total", **of) == 0
        await answered(service)
        decided = {"arm": "consensus", "policy": "pinned", "task": "none"}
        await answered(service, arm="consensus")
        await service.lifecycle.move("consensus", "retired")
        assert await sample(service, "laserve_decisions_total", **decided) == 1


async def test_counters_with_constant_labels_begin_at_0() -> None:
    async with fake_service() as service:
        for reason in ("kind", "pinned", "ensemble", "no_arm", "damaged"):
            assert await sample(service, "laserve_feedback_unlearned_total", reason=reason) == 0
        for reason in ("arm_failed", "unscored", "non_finite", "timeout"):
            assert await sample(service, "laserve_degraded_total", reason=reason) == 0
        assert await sample(service, "laserve_rejected_total", reason="overloaded") == 0
