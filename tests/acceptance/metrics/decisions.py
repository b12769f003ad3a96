"""Causes of the metrics of decisions and of the policy's estimates."""

import pytest

from acceptance.metrics.causes import cause, service
from acceptance.wire import ORRIN, until


@cause("laserve_decisions")
def a_decision_by_arm_policy_and_task(request: pytest.FixtureRequest) -> None:
    main = service(request)
    with main.watching() as change:
        main.generate(policy="fixed:loglik", task="math")
        main.generate(policy="fixed:loglik", task="something nobody declared")
        main.generate(arm="relevance")
    total = "laserve_decisions_total"
    assert change(total, arm="loglik", policy="fixed:loglik", task="math") == 1
    assert change(total, arm="loglik", policy="fixed:loglik", task="other") == 1
    assert change(total, arm="relevance", policy="pinned", task="none") == 1


@cause("laserve_explored")
def a_draw_of_an_arm_that_was_not_the_likeliest(request: pytest.FixtureRequest) -> None:
    main = service(request)
    # Without anything learned all arms are equally likely; one bad reward is enough to change that.
    main.rate(main.decide(prompt="explore", n=1, policy="fixed:loglik"), reward=0)
    with main.watching() as change:
        explored = decided = 0
        # Each draw explores with a chance of at least 0.3: 100 that do not are a matter of 10^-15.
        while not explored and decided < 100:
            answer = main.generate(prompt="explore", n=1)
            explored += answer["propensity"] < max(why["probability"] for why in answer["why"])
            decided += 1
        main.generate(policy="random")
        main.generate(arm="loglik")
    assert explored == 1
    assert change("laserve_explored_total") == 1


@cause("laserve_preferred")
def a_policy_that_is_only_observed(request: pytest.FixtureRequest) -> None:
    watched = service(request, "watched")
    decision = watched.generate()
    assert (decision["arm"], decision["policy"]) == ("consensus", "observe:random")
    preferred = watched.get(f"/decisions/{decision['decision_id']}")["preferred"]
    assert watched.sample("laserve_preferred_total", arm=preferred) >= 1


@cause("laserve_propensity")
def a_drawn_arm_s_chance(request: pytest.FixtureRequest) -> None:
    main = service(request)
    with main.watching() as change:
        main.generate(policy="random")
        main.generate(policy="fixed:loglik")
        main.generate(arm="loglik")  # has none
    assert change("laserve_propensity_count") == 2
    assert change("laserve_propensity_sum") == pytest.approx(1 / 3 + 1)
    assert change("laserve_propensity_bucket", le="0.4") == 1


@cause("laserve_model_regret")
def a_draw_of_an_arm_that_predicts_less(request: pytest.FixtureRequest) -> None:
    main = service(request)
    main.rate(main.decide(policy="fixed:loglik"), reward=0)  # now the arms' predictions differ
    means = {why["arm"]: why["mean"] for why in main.generate()["why"]}
    worst = min(means, key=means.__getitem__)
    with main.watching() as change:
        main.generate(policy=f"fixed:{worst}")
        main.generate(arm=worst)  # nobody's choice, nobody's regret
    assert change("laserve_model_regret_count") == 1
    assert change("laserve_model_regret_sum") == pytest.approx(max(means.values()) - means[worst])
    assert max(means.values()) > means[worst]


@cause("laserve_degraded")
def a_decision_that_fell_short_by_reason(request: pytest.FixtureRequest) -> None:
    faulty, hopeless = service(request, "faulty"), service(request, "hopeless")
    with faulty.watching() as change:
        faulty.generate(policy="fixed:late")
    assert change("laserve_degraded_total", reason="arm_failed") == 1
    assert change("laserve_degraded_total", reason="unscored") == 0
    with hopeless.watching() as change:
        hopeless.generate()
    assert change("laserve_degraded_total", reason="arm_failed") == 2
    assert change("laserve_degraded_total", reason="unscored") == 1


@cause("laserve_truncated")
def a_decision_whose_documents_were_cut(request: pytest.FixtureRequest) -> None:
    main = service(request)
    with main.watching() as change:
        main.generate(question="where", documents=[{"text": "river " * 2000}], n=1)
        main.generate(question="where", documents=ORRIN, n=1)
    assert change("laserve_truncated_total") == 1


@cause("laserve_arm_mean")
def the_reward_that_the_latest_decision_predicted(request: pytest.FixtureRequest) -> None:
    main = service(request)
    main.rate(main.decide(policy="fixed:loglik"), reward=0.9)
    for why in main.generate()["why"]:
        assert main.sample("laserve_arm_mean", arm=why["arm"]) == pytest.approx(why["mean"])


@cause("laserve_arm_mean")
def an_arm_that_can_be_drawn_no_more(request: pytest.FixtureRequest) -> None:
    growing = service(request, "growing")
    assert growing.client.post("/arms", json={"name": "leaver", "kind": "fake"}).status_code == 202
    until(lambda: growing.get("/arms/leaver")["state"] == "ready")

    def shown() -> list[bool]:
        samples = growing.samples()
        names = ("laserve_arm_mean", "laserve_arm_width")
        return [(name, frozenset({("arm", "leaver")})) in samples for name in names]

    assert shown() == [False, False]  # no decision yet could draw it
    growing.generate()
    assert shown() == [True, True]
    assert growing.client.patch("/arms/leaver", json={"state": "retired"}).status_code == 200
    assert shown() == [False, False]


@cause("laserve_arm_width")
def the_uncertainty_of_the_latest_decision(request: pytest.FixtureRequest) -> None:
    main = service(request)
    main.rate(main.decide(policy="fixed:loglik"), reward=0.9)
    for why in main.generate()["why"]:
        assert main.sample("laserve_arm_width", arm=why["arm"]) == pytest.approx(why["width"])


@cause("laserve_arm_pulls")
def a_learned_decision_of_an_arm(request: pytest.FixtureRequest) -> None:
    main = service(request)
    decision_id = main.decide(policy="fixed:consensus")
    with main.watching() as change:
        main.rate(decision_id, reward=1)
        main.rate(decision_id, key="pulls", reward=0)  # a correction is not another pull
    assert change("laserve_arm_pulls", arm="consensus") == 1
    assert change("laserve_arm_pulls", arm="loglik") == 0
    for arm in main.policy()["arms"]:
        assert main.sample("laserve_arm_pulls", arm=arm["name"]) == arm["pulls"]
