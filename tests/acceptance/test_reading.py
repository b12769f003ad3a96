"""What can be looked at: decisions, arms, the policy, health."""

import time

import httpx
import pytest

from acceptance.wire import FORMS, Service
from laserve.api.bodies.answers import ArmsBody, ErrorBody, Health, Readiness, StoredDecision
from laserve.api.bodies.bandit import PolicyBody

UNKNOWN = "0199c0de-0000-7000-8000-000000000000"


@pytest.mark.parametrize("prefix", ["", "/v1"])
@pytest.mark.parametrize("form", FORMS)
def test_a_decision_is_kept_as_it_was_answered(main: Service, form: str, prefix: str) -> None:
    position = main.policy()["log_position"]
    before = time.time()
    answer = main.generate(**FORMS[form], n=4)
    after = time.time()
    read = main.client.get(f"{prefix}/decisions/{answer['decision_id']}")
    assert read.status_code == 200
    stored = StoredDecision.model_validate_json(read.content, strict=True).model_dump()
    timings = answer.pop("timings")
    # The time to write a decision is known only after it was written.
    assert stored["timings"].items() <= {**timings, "total": stored["timings"]["total"]}.items()
    assert {name: stored[name] for name in answer} == answer
    assert stored["request"] == FORMS[form]
    assert before <= stored["created_at"] <= after
    assert stored["log_position"] == position
    assert stored["task"] is None
    assert stored["metadata"] == {}
    assert stored["feedback"] == []


@pytest.mark.parametrize("server", ["main", "hashing"])
@pytest.mark.parametrize("depth", [50, 300, 800])
@pytest.mark.usefixtures("main", "hashing")
def test_metadata_that_is_accepted_can_be_read_again_however_deep(
    request: pytest.FixtureRequest, server: str, depth: int
) -> None:
    service: Service = request.getfixturevalue(server)
    content = b'{"prompt": "a", "n": 1, "metadata": {"b": ' + b"[" * depth + b"]" * depth + b"}}"
    headers = {"Content-Type": "application/json"}
    answer = httpx.post(f"{service.server.url}/generate", content=content, headers=headers)
    if depth > 50 and answer.status_code == 422:  # a bound is fine where it is told
        assert answer.json()["error"]["param"] == "metadata"
        return
    assert answer.status_code == 200
    read = httpx.get(f"{service.server.url}/decisions/{answer.json()['decision_id']}")
    assert read.status_code == 200
    assert read.content.count(b"[" * depth) == 1


def test_a_decision_tells_what_each_arm_that_scored_would_have_returned(main: Service) -> None:
    answer = main.generate(n=6, policy="fixed:relevance")
    stored = main.decision(answer["decision_id"])
    assert set(stored["choices"]) == set(stored["scores"]) == {"loglik", "consensus", "relevance"}
    assert stored["choices"]["relevance"] == answer["index"]
    assert stored["scores"]["relevance"] == [c["score"] for c in answer["candidates"]]
    assert stored["scores"]["loglik"] == [c["logprob"] for c in answer["candidates"]]
    for arm, index in stored["choices"].items():
        assert stored["scores"][arm][index] == max(stored["scores"][arm])


def test_feedback_is_kept_as_it_was_said(main: Service) -> None:
    decision_id = main.decide()
    main.rate(decision_id, references=["the river", "a river"], metric="rouge_l", source="ann")
    main.rate(decision_id, thumb="up")
    rows = main.decision(decision_id)["feedback"]
    assert [row["body"] for row in rows] == [
        {
            "decision_id": decision_id,
            "references": ["the river", "a river"],
            "metric": "rouge_l",
            "source": "ann",
        },
        {"decision_id": decision_id, "thumb": 1.0, "source": ""},
    ]
    assert rows[0]["position"] < rows[1]["position"]


def test_a_deleted_decision_is_gone_and_what_it_taught_stays(main: Service) -> None:
    decision_id = main.decide(prompt="forget this sentence", metadata={"note": "and this one"})
    main.rate(decision_id, reward=1)
    main.rate(decision_id, references=["and also this"])
    before = main.policy()
    answer = main.client.delete(f"/decisions/{decision_id}")
    assert (answer.status_code, answer.content) == (204, b"")
    for method in ("GET", "DELETE"):
        again = main.client.request(method, f"/decisions/{decision_id}")
        assert again.status_code == 410
        error = ErrorBody.model_validate_json(again.content).error
        assert (error.code, error.param) == ("deleted", "decision_id")
    assert main.policy() == before


def test_no_row_holds_the_texts_of_a_deleted_decision(main: Service) -> None:
    decision_id = main.decide(prompt="velvet kangaroo", metadata={"note": "copper anvil"})
    main.rate(decision_id, references=["silver walnut"], source="ann")
    words = ("velvet", "kangaroo", "copper anvil", "silver walnut")

    def held() -> str:
        return repr(
            [
                main.rows("select * from decisions where id = ?", decision_id),
                main.rows("select * from feedback where decision_id = ?", decision_id),
                main.rows("select * from events where decision_id = ?", decision_id),
            ]
        )

    assert all(word in held() for word in words)
    main.client.delete(f"/decisions/{decision_id}")
    assert not any(word in held() for word in words)
    assert main.rows("select texts from decisions where id = ?", decision_id) == [(None,)]
    assert main.rows("select body, digest from feedback where decision_id = ?", decision_id) == [(None, None)]


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("decision_id", [UNKNOWN, "x", "%00", "%ed%a0%80", "x" * 5000])
def test_an_unknown_decision_is_a_404(main: Service, method: str, decision_id: str) -> None:
    answer = main.client.request(method, f"/decisions/{decision_id}")
    assert answer.status_code == 404
    error = ErrorBody.model_validate_json(answer.content).error
    assert (error.type, error.code, error.param) == ("invalid_request_error", "not_found", "decision_id")
    assert error.message.startswith("decision_id: ")


@pytest.mark.parametrize("path", ["/arms", "/v1/arms"])
def test_arms_are_told_with_what_they_learned(main: Service, path: str) -> None:
    main.rate(main.decide(policy="fixed:loglik"), reward=1)
    answer = main.client.get(path)
    ArmsBody.model_validate_json(answer.content, strict=True)
    arms = answer.json()["arms"]
    assert [(arm["name"], arm["kind"], arm["free"]) for arm in arms] == [
        ("loglik", "loglik", True),
        ("consensus", "consensus", True),
        ("relevance", "relevance", False),
    ]
    assert all((arm["state"], arm["error"]) == ("ready", None) for arm in arms)
    for arm, learned in zip(arms, main.policy()["arms"], strict=True):
        assert {name: learned[name] for name in ("name", "pulls", "updates", "mean_reward")} == {
            name: arm[name] for name in ("name", "pulls", "updates", "mean_reward")
        }
    assert arms[0]["pulls"] >= 1
    assert 0 < arms[0]["mean_reward"] <= 1


@pytest.mark.parametrize("path", ["/policy", "/v1/policy"])
def test_the_policy_tells_its_parameters_and_its_state(main: Service, path: str) -> None:
    answer = main.client.get(path)
    PolicyBody.model_validate_json(answer.content, strict=True)
    policy = answer.json()
    assert policy["name"] == "linucb"
    assert policy["parameters"]["epsilon_start"] == 0.9
    assert policy["parameters"]["learn_from"] == policy["learn_from"] == "reward"
    assert len(policy["digest"]) == 64
    assert policy["context"][0] == "bias"
    assert all(len(arm["theta"]) == len(policy["context"]) for arm in policy["arms"])


def test_the_digest_changes_with_the_log_and_with_nothing_else(main: Service) -> None:
    before = main.policy()
    decision_id = main.decide()
    assert main.policy()["digest"] == before["digest"]
    main.rate(decision_id, thumb="up")  # an event, though it teaches nothing
    after = main.policy()
    assert after["digest"] != before["digest"]
    assert after["log_position"] == before["log_position"] + 1


def test_healthz_tells_that_the_process_lives(main: Service) -> None:
    answer = main.client.get("/healthz")
    assert answer.status_code == 200
    assert Health.model_validate_json(answer.content, strict=True).status == "ok"


def test_readyz_tells_what_is_ready(main: Service) -> None:
    answer = main.client.get("/readyz")
    assert answer.status_code == 200
    Readiness.model_validate_json(answer.content, strict=True)
    assert answer.json() == {
        "status": "ready",
        "store": "ready",
        "generator": "ready",
        "arms": {"loglik": "ready", "consensus": "ready", "relevance": "ready"},
        "why": {},
    }


@pytest.mark.parametrize(("method", "path"), [("GET", "/nothing"), ("GET", "/v2/arms"), ("POST", "/")])
def test_an_unknown_path_is_a_404_in_the_shape_of_every_error(main: Service, method: str, path: str) -> None:
    answer = main.client.request(method, path)
    assert answer.status_code == 404
    assert ErrorBody.model_validate_json(answer.content, strict=True).error.code == "not_found"


@pytest.mark.parametrize(("method", "path"), [("GET", "/generate"), ("PUT", "/feedback"), ("PUT", "/arms")])
def test_a_wrong_method_is_a_405_in_the_shape_of_every_error(main: Service, method: str, path: str) -> None:
    answer = main.client.request(method, path)
    assert answer.status_code == 405
    ErrorBody.model_validate_json(answer.content, strict=True)
    assert answer.headers["allow"]


def test_a_service_without_a_single_arm_is_not_ready_and_serves_no_request(armless: Service) -> None:
    assert armless.client.get("/healthz").status_code == 200
    answer = armless.client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["arms"] == {"broken": "failed"}
    assert answer.json()["why"] == {"broken": "told to fail"}
    refused = armless.client.post("/generate", json={"prompt": "a"})
    assert refused.status_code == 503
    assert refused.json()["error"]["type"] == "unavailable_error"
    assert int(refused.headers["retry-after"]) >= 1
    assert armless.sample("laserve_ready") == 0


def test_a_service_without_a_single_arm_does_not_claim_to_be_loading_or_ready(armless: Service) -> None:
    assert armless.client.get("/readyz").json()["status"] == "failed"  # nothing is loading any more
    assert "laserve is ready" not in armless.server.output()
