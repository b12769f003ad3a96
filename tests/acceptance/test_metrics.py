"""Every metric that is declared moves by its real cause, and by exactly as much."""

from collections.abc import Callable

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from acceptance.busy import busy
from acceptance.wire import ORRIN, Service, until
from laserve.metrics import Metrics
from processes import disk_full

Cause = Callable[[pytest.FixtureRequest], None]
CAUSES: dict[str, Cause] = {}


def cause(family: str) -> Callable[[Cause], Cause]:
    """Declare what moves a metric family; the function asserts that it does."""

    def declare(check: Cause) -> Cause:
        CAUSES[family] = check
        return check

    return declare


def service(request: pytest.FixtureRequest, name: str = "main") -> Service:
    value = request.getfixturevalue(name)
    assert isinstance(value, Service)
    return value


@cause("laserve_requests")
def an_answered_request_by_endpoint_and_status(request: pytest.FixtureRequest) -> None:
    main = service(request)
    with main.watching() as change:
        main.client.get("/policy")
        main.client.get("/v1/policy")  # the same endpoint
        main.client.get("/decisions/x")
        main.client.get("/decisions/y")
        main.client.get("/nothing/here")
        main.client.post("/feedback", json={})
    assert change("laserve_requests_total", endpoint="/policy", status="200") == 2
    assert change("laserve_requests_total", endpoint="/decisions/{decision_id}", status="404") == 2
    assert change("laserve_requests_total", endpoint="unmatched", status="404") == 1
    assert change("laserve_requests_total", endpoint="/feedback", status="422") == 1
    assert change("laserve_requests_total", endpoint="/metrics", status="200") == 1


@cause("laserve_stage_seconds")
def a_decision_by_stage(request: pytest.FixtureRequest) -> None:
    main = service(request)
    with main.watching() as change:
        timings = main.generate()["timings"]
    assert timings.keys() == {"choose", "generate", "score", "store", "total"}
    for stage, seconds in timings.items():
        assert change("laserve_stage_seconds_count", stage=stage) == 1
        assert change("laserve_stage_seconds_sum", stage=stage) == pytest.approx(seconds)


@cause("laserve_requests_in_flight")
def a_decision_under_way(request: pytest.FixtureRequest) -> None:
    narrow = service(request, "narrow")
    assert narrow.sample("laserve_requests_in_flight") == 0
    with busy(narrow):
        assert narrow.sample("laserve_requests_in_flight") == 1
    assert narrow.sample("laserve_requests_in_flight") == 0


@cause("laserve_rejected")
def a_request_that_finds_no_permit(request: pytest.FixtureRequest) -> None:
    narrow = service(request, "narrow")
    with narrow.watching() as change, busy(narrow):
        assert narrow.client.post("/generate", json={"prompt": "a"}).status_code == 429
    assert change("laserve_rejected_total", reason="overloaded") == 1


@cause("laserve_candidates")
def a_candidate_by_its_finish_reason(request: pytest.FixtureRequest) -> None:
    main = service(request)
    with main.watching() as change:
        main.generate(prompt="a", n=3, max_tokens=1)
        main.generate(prompt="a", n=2)
    assert change("laserve_candidates_total", finish_reason="length") == 3
    assert change("laserve_candidates_total", finish_reason="stop") == 2


@cause("laserve_tokens")
def a_token_read_or_sampled(request: pytest.FixtureRequest) -> None:
    main = service(request)
    with main.watching() as change:
        usage = main.generate()["usage"]
    assert change("laserve_tokens_total", kind="prompt") == usage["prompt_tokens"]
    assert change("laserve_tokens_total", kind="generated") == usage["completion_tokens"]


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


@cause("laserve_rm_failed")
def a_request_that_an_arm_could_not_score(request: pytest.FixtureRequest) -> None:
    faulty = service(request, "faulty")
    with faulty.watching() as change:
        faulty.generate(policy="fixed:late")
        faulty.generate(policy="fixed:loglik")
    assert change("laserve_rm_failed_total", arm="late") == 1
    assert change("laserve_rm_failed_total", arm="loglik") == 0


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


@cause("laserve_preferred")
def a_policy_that_is_only_observed(request: pytest.FixtureRequest) -> None:
    watched = service(request, "watched")
    decision = watched.generate()
    assert (decision["arm"], decision["policy"]) == ("consensus", "observe:random")
    preferred = watched.get(f"/decisions/{decision['decision_id']}")["preferred"]
    assert watched.sample("laserve_preferred_total", arm=preferred) >= 1


@cause("laserve_changes")
def another_generator_than_at_the_last_start(request: pytest.FixtureRequest) -> None:
    changed = service(request, "changed")
    assert changed.sample("laserve_changes", what="generator") == 1
    assert changed.sample("laserve_changes", what="template") == 0
    assert changed.sample("laserve_changes", what="arm") == 0


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


@cause("laserve_rm_margin")
def the_lead_of_the_best_candidate(request: pytest.FixtureRequest) -> None:
    main = service(request)
    with main.watching() as change:
        scores = sorted(c["score"] for c in main.generate(n=8, arm="loglik")["candidates"])
        main.generate(n=1, arm="loglik")  # has no second best
    assert change("laserve_rm_margin_count", arm="loglik") == 1
    assert change("laserve_rm_margin_sum", arm="loglik") == pytest.approx(scores[-1] - scores[-2])


@cause("laserve_feedback")
def a_feedback_by_kind_and_by_what_became_of_it(request: pytest.FixtureRequest) -> None:
    main = service(request)
    decision_id = main.decide()
    with main.watching() as change:
        main.rate(decision_id, thumb="up")
        main.rate(decision_id, thumb="up")
        main.rate(decision_id, thumb="up")
        main.feedback(decision_id, thumb="down")
        main.feedback("unknown", thumb="down")
    assert change("laserve_feedback_total", kind="thumb", outcome="recorded") == 1
    assert change("laserve_feedback_total", kind="thumb", outcome="duplicate") == 2
    assert change("laserve_feedback_total", kind="thumb", outcome="conflict") == 1


@cause("laserve_feedback_pending")
def a_decision_that_waits_for_feedback(request: pytest.FixtureRequest) -> None:
    patient = service(request, "patient")

    def pending() -> float:
        return patient.sample("laserve_feedback_pending")

    owed = patient.rows("select count(*) from decisions where due_at is not null")[0][0]
    until(lambda: pending() == owed)
    taught, deleted, _ = (patient.decide() for _ in range(3))
    until(lambda: pending() == owed + 3)
    patient.rate(taught, thumb="up")
    until(lambda: pending() == owed + 2)
    patient.client.delete(f"/decisions/{deleted}")
    until(lambda: pending() == owed + 1)


@cause("laserve_reward")
def a_reward_of_a_returned_answer(request: pytest.FixtureRequest) -> None:
    main = service(request)
    decision_id = main.decide(policy="fixed:relevance")
    with main.watching() as change:
        main.rate(decision_id, reward=0.35)
        main.rate(decision_id, reward=0.35)
    assert change("laserve_reward_count", arm="relevance") == 1
    assert change("laserve_reward_sum", arm="relevance") == pytest.approx(0.35)
    assert change("laserve_reward_bucket", arm="relevance", le="0.3") == 0
    assert change("laserve_reward_bucket", arm="relevance", le="0.4") == 1


@cause("laserve_feedback_delay_seconds")
def the_time_from_decision_to_feedback(request: pytest.FixtureRequest) -> None:
    main = service(request)
    decision_id = main.decide()
    with main.watching() as change:
        main.rate(decision_id, reward=1)
        main.rate(decision_id, reward=1)
    assert change("laserve_feedback_delay_seconds_count") == 1
    (row,) = main.decision(decision_id)["feedback"]
    delay = row["created_at"] - main.decision(decision_id)["created_at"]
    assert change("laserve_feedback_delay_seconds_sum") == pytest.approx(delay, abs=1e-3)


@cause("laserve_events_position")
def an_event_in_the_log(request: pytest.FixtureRequest) -> None:
    main = service(request)
    decision_id = main.decide()
    with main.watching() as change:
        main.rate(decision_id, reward=1)
    assert change("laserve_events_position") == 1
    assert main.sample("laserve_events_position") == main.policy()["log_position"]


@cause("laserve_snapshot_position")
def a_snapshot_every_so_many_events(request: pytest.FixtureRequest) -> None:
    main = service(request)  # makes one every 5
    decision_id = main.decide()
    with main.watching() as change:
        for number in range(5):
            main.rate(decision_id, reward=1, source=f"snapshot {number}")
    assert change("laserve_snapshot_position") == 5
    newest = main.rows("select max(position) from snapshots")
    assert newest == [(main.sample("laserve_snapshot_position"),)]


@cause("laserve_store_refusing")
def a_disk_without_room(request: pytest.FixtureRequest) -> None:
    frail = service(request, "frail")
    assert frail.sample("laserve_store_refusing") == 0
    for _ in range(3):
        frail.generate(prompt="room " * 10_000)
    with disk_full(frail.server, frail.database):
        assert frail.client.post("/generate", json={"prompt": "a"}).status_code == 503
        assert frail.sample("laserve_store_refusing") == 1
    until(lambda: frail.client.get("/readyz").status_code == 200)
    assert frail.sample("laserve_store_refusing") == 0


@cause("laserve_ready")
def whether_requests_are_served(request: pytest.FixtureRequest) -> None:
    assert service(request).sample("laserve_ready") == 1
    assert service(request, "armless").sample("laserve_ready") == 0


@pytest.mark.parametrize("family", CAUSES)
@pytest.mark.usefixtures(
    "main", "narrow", "faulty", "hopeless", "armless", "patient", "frail", "growing", "watched"
)
def test_a_metric_moves_by_its_cause(family: str, request: pytest.FixtureRequest) -> None:
    CAUSES[family](request)


#: Moved where an engine dies for real (`integration/test_engine_death.py`), and by arms that read prompts
#: ahead (`unit/selection/test_answering.py`), which the fakes here do not.
ELSEWHERE = {"laserve_engine_restarts", "laserve_rm_overlap", "laserve_rm_truncated"}


def test_every_declared_metric_has_a_cause_here_or_elsewhere() -> None:
    assert {family.name for family in Metrics().registry.collect()} == CAUSES.keys() | ELSEWHERE


def test_metrics_are_served_in_the_text_format_with_those_of_the_process(main: Service) -> None:
    answer = main.client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    assert CAUSES.keys() | {"process_open_fds", "python_info"} <= families.keys()
    assert all(families[name].documentation for name in CAUSES)
    assert not [name for name in families if not name.startswith(("laserve_", "process_", "python_"))]


def test_labels_do_not_grow_with_what_clients_send(main: Service) -> None:
    def series() -> set[object]:
        return set(main.samples())

    main.generate(task="first unknown task", policy="fixed:loglik", n=1)
    main.client.get("/first/unknown/path")
    main.client.request("BREW", "/metrics")
    before = series()
    main.generate(task="second unknown task", policy="fixed:loglik", n=1, metadata={"a": "b"})
    main.client.get("/second/unknown/path")
    main.client.request("STIR", "/metrics")
    main.client.post("/generate", json={"prompt": "a", "policy": "nothing"})
    main.client.post("/generate", json={"prompt": "a", "arm": "nobody"})
    httpx.get(f"{main.server.url}/decisions/whatever")
    new = {name for name, _ in series() - before}
    assert new <= {"laserve_requests_total", "laserve_requests_created"}
    assert not [labels for _, labels in series() if "second" in repr(labels) or "nothing" in repr(labels)]
