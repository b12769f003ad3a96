"""`POST /generate`: the answer and all that explains it."""

import time
import uuid
from typing import Any

import pytest

from acceptance.wire import FORMS, Service
from laserve.api.bodies.answers import DecisionBody

ARMS = ["loglik", "consensus", "relevance"]


@pytest.mark.parametrize("prefix", ["", "/v1"])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_request_is_answered_in_the_shape_of_the_schema(
    main: Service, form: str, prefix: str
) -> None:
    answer = main.client.post(f"{prefix}/generate", json=FORMS[form] | {"n": 4})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    DecisionBody.model_validate_json(answer.content, strict=True)
    documented = main.get("/openapi.json")["components"]["schemas"]["DecisionBody"]
    assert set(answer.json()) == set(documented["properties"]) == set(documented["required"])
    assert len(answer.json()["candidates"]) == 4
    assert answer.json()["degraded"] == []
    assert answer.json()["truncated"] is False


def test_the_decision_id_is_a_uuid_of_version_7_made_now(main: Service) -> None:
    before = int(time.time() * 1000)
    first, second = (uuid.UUID(main.decide()) for _ in range(2))
    after = int(time.time() * 1000)
    assert first.version == second.version == 7
    assert before <= first.int >> 80 <= second.int >> 80 <= after
    assert first != second


@pytest.mark.parametrize("form", FORMS)
def test_the_returned_text_is_the_candidate_that_the_scoring_arm_likes_best(main: Service, form: str) -> None:
    for _ in range(5):  # arms are drawn
        answer = main.generate(**FORMS[form], n=8)
        candidates = answer["candidates"]
        assert answer["scored_by"] == answer["arm"]
        assert answer["text"] == candidates[answer["index"]]["text"]
        assert answer["score"] == candidates[answer["index"]]["score"]
        assert answer["score"] == max(candidate["score"] for candidate in candidates)


def test_a_tie_goes_to_the_likelier_candidate_per_token_and_then_to_the_lower_index(main: Service) -> None:
    # At this temperature the fake samples pairs of equal candidates.
    answer = main.generate(prompt="a b", n=8, temperature=0.5, arm="loglik")
    candidates = answer["candidates"]
    best = [i for i, candidate in enumerate(candidates) if candidate["score"] == answer["score"]]
    assert len(best) > 1
    assert answer["index"] == max(
        best, key=lambda i: (candidates[i]["logprob"] / candidates[i]["tokens"], -i)
    )


def test_why_holds_the_distribution_that_the_arm_was_drawn_from(main: Service) -> None:
    answer = main.generate()
    chances = {why["arm"]: why["probability"] for why in answer["why"]}
    assert list(chances) == ARMS
    assert sum(chances.values()) == pytest.approx(1, abs=1e-12)
    assert answer["propensity"] == chances[answer["arm"]] > 0
    assert answer["policy"] == "linucb"
    assert all(why["width"] > 0 for why in answer["why"])


def test_arms_are_drawn_with_the_chances_that_are_told(main: Service) -> None:
    drawn = [main.generate(policy="random", n=1)["arm"] for _ in range(60)]
    # One of three arms missing from 60 fair draws has a chance of 3 * (2/3)^60 < 1e-10.
    assert set(drawn) == set(ARMS)


def test_usage_counts_what_was_read_and_sampled(main: Service) -> None:
    answer = main.generate(prompt="a b c", n=3)
    assert answer["usage"]["prompt_tokens"] == len("a b c")  # the fake has a token a byte
    assert answer["usage"]["completion_tokens"] == sum(c["tokens"] for c in answer["candidates"])
    assert answer["usage"]["total_tokens"] == len("a b c") + answer["usage"]["completion_tokens"]


@pytest.mark.timed
def test_timings_tell_the_seconds_of_each_stage_and_of_all(main: Service) -> None:
    started = time.monotonic()
    timings = main.generate()["timings"]
    elapsed = time.monotonic() - started
    total = timings.pop("total")
    assert set(timings) == {"choose", "generate", "score", "store"}
    assert all(seconds >= 0 for seconds in timings.values())
    assert sum(timings.values()) == pytest.approx(total, abs=0.01)
    assert total <= elapsed


def test_candidates_are_left_out_on_request(main: Service) -> None:
    answer = main.generate(return_candidates=False)
    assert answer["candidates"] is None
    stored = main.decision(answer["decision_id"])
    assert answer["text"] == stored["candidates"][answer["index"]]["text"]


def test_task_metadata_and_sampling_are_kept_with_the_decision(main: Service) -> None:
    metadata = {"user": "Zoë", "tags": ["α", "😀"], "nested": {"deep": [1, 2.5, None, True]}}
    stored = main.decision(main.decide(task="math", metadata=metadata, seed=7, top_p=0.9, stop="\n\n"))
    assert stored["task"] == "math"
    assert stored["metadata"] == metadata
    assert stored["sampling"] == {
        "n": 4,
        "temperature": 0.8,
        "top_p": 0.9,
        "max_tokens": 128,
        "stop": ["\n\n"],
        "seed": 7,
    }


@pytest.mark.parametrize("arm", ARMS)
def test_a_pinned_arm_scores_without_a_propensity(main: Service, arm: str) -> None:
    answer = main.generate(arm=arm)
    assert (answer["arm"], answer["scored_by"]) == (arm, arm)
    assert answer["policy"] == "pinned"
    assert answer["propensity"] is None
    assert {why["arm"]: why["probability"] for why in answer["why"]} == {
        name: float(name == arm) for name in ARMS
    }


def test_the_random_policy_gives_each_arm_the_same_chance(main: Service) -> None:
    answer = main.generate(policy="random")
    assert answer["policy"] == "random"
    assert [why["probability"] for why in answer["why"]] == [1 / 3] * 3
    assert answer["propensity"] == 1 / 3


@pytest.mark.parametrize("arm", ARMS)
def test_a_fixed_policy_always_draws_its_arm(main: Service, arm: str) -> None:
    answer = main.generate(policy=f"fixed:{arm}")
    assert answer["policy"] == f"fixed:{arm}"
    assert answer["arm"] == arm
    assert answer["propensity"] == 1


def test_the_configured_policy_can_be_named(main: Service) -> None:
    assert main.generate(policy="linucb")["policy"] == "linucb"


def test_one_greedy_candidate_may_be_asked_for(main: Service) -> None:
    answer = main.generate(prompt="north of the river", n=1, temperature=0)
    assert answer["index"] == 0
    assert [candidate["text"] for candidate in answer["candidates"]] == [answer["text"]]


def test_max_tokens_bounds_each_candidate_and_is_told_as_the_reason(main: Service) -> None:
    candidates = main.generate(n=8, max_tokens=1)["candidates"]
    assert {(candidate["tokens"], candidate["finish_reason"]) for candidate in candidates} == {(1, "length")}


@pytest.mark.parametrize("n", [1, 64])
def test_the_bounds_of_n_are_allowed(main: Service, n: int) -> None:
    assert len(main.generate(n=n)["candidates"]) == n


def test_documents_that_do_not_fit_lose_their_ends_and_the_answer_says_so(main: Service) -> None:
    documents = [{"title": "long", "text": "river " * 2000}]
    answer = main.generate(question="where is the river", documents=documents, n=2)
    assert answer["truncated"] is True
    assert answer["usage"]["prompt_tokens"] <= 6000 - 128
    assert main.decision(answer["decision_id"])["request"]["documents"] == documents


@pytest.mark.parametrize("form", FORMS)
def test_another_server_gives_the_same_candidates_to_the_same_request(
    corrected: Service, straight: Service, form: str
) -> None:
    def candidates(service: Service) -> list[dict[str, Any]]:
        return service.generate(**FORMS[form], n=8, seed=3, arm="loglik")["candidates"]

    assert candidates(corrected) == candidates(straight)
