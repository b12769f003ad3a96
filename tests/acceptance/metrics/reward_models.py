"""Causes of the metrics of the arms."""

import numpy as np
import pytest

from acceptance.metrics.causes import cause, service
from acceptance.wire import Service, until
from laserve.arms.arm import STATES


@cause("laserve_arms")
def an_arm_that_changes_its_state(request: pytest.FixtureRequest) -> None:
    growing = service(request, "growing")
    assert growing.client.post("/arms", json={"name": "counted", "kind": "fake"}).status_code == 202
    until(lambda: growing.get("/arms/counted")["state"] == "ready")
    with growing.watching() as change:
        assert growing.client.patch("/arms/counted", json={"state": "draining"}).status_code == 200
    assert (change("laserve_arms", state="ready"), change("laserve_arms", state="draining")) == (-1, 1)
    with growing.watching() as change:
        assert growing.client.patch("/arms/counted", json={"state": "retired"}).status_code == 200
    assert (change("laserve_arms", state="draining"), change("laserve_arms", state="retired")) == (-1, 1)


@cause("laserve_rm_circuit")
def an_arm_that_fails_and_proves_itself_again(request: pytest.FixtureRequest) -> None:
    frail = service(request, "frail")
    fault = frail.folder / "raise"

    def states() -> list[float]:
        return [
            frail.sample("laserve_rm_circuit", arm="raise", state=state)
            for state in ("closed", "open", "half-open")
        ]

    assert states() == [1, 0, 0]
    fault.touch()
    frail.generate(policy="fixed:raise")
    assert states() == [0, 1, 0]
    fault.unlink()
    until(lambda: states() == [0, 0, 1])
    frail.generate(policy="fixed:raise")
    assert states() == [1, 0, 0]


@cause("laserve_rm_seconds")
def a_scoring_by_an_arm(request: pytest.FixtureRequest) -> None:
    main, faulty = service(request), service(request, "faulty")
    with main.watching() as change:
        main.generate(arm="relevance")
        main.generate(arm="loglik")
    assert change("laserve_rm_seconds_count", arm="relevance") == 1
    assert change("laserve_rm_seconds_count", arm="loglik") == 2  # free: scores every request
    with faulty.watching() as change:
        seconds = faulty.generate(arm="late")["timings"]["score"]
    assert change("laserve_rm_seconds_count", arm="late") == 1  # failures take time as well
    assert 0.05 <= change("laserve_rm_seconds_sum", arm="late") <= seconds


@cause("laserve_rm_margin")
def the_lead_of_the_best_candidate(request: pytest.FixtureRequest) -> None:
    main = service(request)
    with main.watching() as change:
        scores = sorted(c["score"] for c in main.generate(n=8, arm="loglik")["candidates"])
        main.generate(n=1, arm="loglik")  # has no second best
    assert change("laserve_rm_margin_count", arm="loglik") == 1
    assert change("laserve_rm_margin_sum", arm="loglik") == pytest.approx(scores[-1] - scores[-2])


@cause("laserve_rm_failed")
def a_request_that_an_arm_could_not_score(request: pytest.FixtureRequest) -> None:
    faulty = service(request, "faulty")
    with faulty.watching() as change:
        faulty.generate(policy="fixed:late")
        faulty.generate(policy="fixed:loglik")
    assert change("laserve_rm_failed_total", arm="late") == 1
    assert change("laserve_rm_failed_total", arm="loglik") == 0


@cause("laserve_rm_non_finite")
def a_candidate_without_a_finite_score(request: pytest.FixtureRequest) -> None:
    frail = service(request, "frail")
    fault = frail.folder / "some-nan"
    fault.touch()
    with frail.watching() as change:
        candidates = frail.generate(n=6, policy="fixed:some-nan")["candidates"]
    fault.unlink()
    dropped = [candidate["score"] for candidate in candidates].count(None)
    assert change("laserve_rm_non_finite_total", arm="some-nan") == dropped > 0
    assert change("laserve_rm_non_finite_total", arm="loglik") == 0


@cause("laserve_rm_fallback")
def a_decision_scored_by_another_arm_than_the_drawn_one(request: pytest.FixtureRequest) -> None:
    faulty, hopeless = service(request, "faulty"), service(request, "hopeless")
    with faulty.watching() as change:
        faulty.generate(policy="fixed:late")
        faulty.generate(policy="fixed:loglik")
    assert change("laserve_rm_fallback_total", arm="late") == 1
    assert change("laserve_rm_fallback_total", arm="loglik") == 0
    with hopeless.watching() as change:
        hopeless.generate(policy="fixed:late")  # no other arm scored either
    assert change("laserve_rm_fallback_total", arm="late") == 0


@cause("laserve_shadow")
def a_request_that_all_arms_score(request: pytest.FixtureRequest) -> None:
    growing = service(request, "growing")
    key = ("laserve_shadow_total", frozenset({("outcome", "scored")}))
    before = growing.samples().get(key, 0)
    growing.generate()
    until(lambda: growing.samples().get(key, 0) > before)


@cause("laserve_rm_shadow")
def an_arm_that_would_have_returned_the_same(request: pytest.FixtureRequest) -> None:
    growing = service(request, "growing")
    key = ("laserve_rm_shadow_total", frozenset({("arm", "loglik"), ("agrees", "yes")}))
    before = growing.samples().get(key, 0)
    growing.generate(policy="fixed:loglik")
    until(lambda: growing.samples().get(key, 0) > before)


@cause("laserve_arm_state")
def an_arm_s_state_from_its_loading_to_its_end(request: pytest.FixtureRequest) -> None:
    growing, faulty, frail = (service(request, name) for name in ("growing", "faulty", "frail"))

    def state(of: Service, arm: str) -> str:
        """The one state that has a 1."""
        found = {
            dict(labels)["state"]: value
            for (name, labels), value in of.samples().items()
            if name == "laserve_arm_state" and ("arm", arm) in labels
        }
        assert found.keys() == set(STATES)
        assert sorted(found.values()) == [0] * (len(STATES) - 1) + [1]
        return max(found, key=found.__getitem__)

    options = {"delay_s": 0.2}  # loads for as long as its self-test takes
    body = {"name": "followed", "kind": "fake", "options": options}
    assert growing.client.post("/arms", json=body).status_code == 202
    assert state(growing, "followed") == "loading"
    until(lambda: state(growing, "followed") == "ready")
    for wanted in ("draining", "retired"):
        assert growing.client.patch("/arms/followed", json={"state": wanted}).status_code == 200
        assert state(growing, "followed") == wanted
    assert state(faulty, "broken") == "failed"
    fault = frail.folder / "raise"
    fault.touch()
    frail.generate(policy="fixed:raise")
    assert state(frail, "raise") == "open"
    fault.unlink()
    until(lambda: state(frail, "raise") == "half-open")
    frail.generate(policy="fixed:raise")
    assert state(frail, "raise") == "ready"


@cause("laserve_rm_score")
def a_candidate_s_raw_score(request: pytest.FixtureRequest) -> None:
    main, frail = service(request), service(request, "frail")
    with main.watching() as change:
        scores = [c["score"] for c in main.generate(n=8, arm="loglik")["candidates"]]
    assert change("laserve_rm_score_count", arm="loglik") == 8
    for bound in ("-5.0", "-1.0", "0.0", "100.0"):
        below = sum(score <= float(bound) for score in scores)
        assert change("laserve_rm_score_bucket", arm="loglik", le=bound) == below
    assert ("laserve_rm_score_sum", frozenset({("arm", "loglik")})) not in change.after
    fault = frail.folder / "some-nan"
    fault.touch()
    with frail.watching() as change:
        candidates = frail.generate(n=6, policy="fixed:some-nan")["candidates"]
    fault.unlink()
    finite = [c["score"] for c in candidates if c["score"] is not None]
    assert change("laserve_rm_score_count", arm="some-nan") == len(finite) < 6


@cause("laserve_rm_score_mean")
@cause("laserve_rm_score_sd")
def the_moments_of_an_arm_s_scores_from_its_first_to_its_last(request: pytest.FixtureRequest) -> None:
    growing = service(request, "growing")
    names = ("laserve_rm_score_mean", "laserve_rm_score_sd")
    arm = f"scored-{request.node.name.partition('[')[2].strip(']').replace('_', '-')[:40]}"
    assert growing.client.post("/arms", json={"name": arm, "kind": "fake"}).status_code == 202
    until(lambda: growing.get(f"/arms/{arm}")["state"] == "ready")

    def moments() -> list[float | None]:
        samples = growing.samples()
        return [samples.get((name, frozenset({("arm", arm)}))) for name in names]

    assert moments() == [None, None]  # a self-test is no request
    scores: list[float] = []
    while len(scores) < 256:
        assert moments() == [None, None]  # 192 candidates are too few
        body = {"n": 64, "prompt": f"the moments after {len(scores)} scores", "arm": arm}
        scores += [candidate["score"] for candidate in growing.generate(**body)["candidates"]]
    weights = (1 - 1 / 1000) ** np.arange(256)[::-1]
    mean = np.average(scores, weights=weights)
    sd = np.sqrt(np.average((np.array(scores) - mean) ** 2, weights=weights))
    assert moments() == pytest.approx([mean, sd])
    assert sd > 0
    assert growing.client.patch(f"/arms/{arm}", json={"state": "retired"}).status_code == 200
    assert moments() == [None, None]
