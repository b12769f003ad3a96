"""`POST /feedback/batch`: an answer a line."""

import json
from typing import Any

import httpx
import pytest

from acceptance.wire import Service
from laserve.api.bodies.answers import LineAnswer

UNKNOWN = "0199c0de-0000-7000-8000-000000000000"


def post(service: Service, content: bytes, path: str = "/feedback/batch") -> httpx.Response:
    return service.client.post(path, content=content, headers={"Content-Type": "application/x-ndjson"})


def answers(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(text) for text in answer.text.splitlines()]


def line(**body: Any) -> bytes:
    return json.dumps(body).encode() + b"\n"


@pytest.mark.parametrize("path", ["/feedback/batch", "/v1/feedback/batch"])
def test_each_line_has_an_answer_in_order_and_blank_lines_have_none(main: Service, path: str) -> None:
    decision_id, other, pinned = main.decide(), main.decide(), main.decide(arm="loglik")
    deleted = main.decide()
    main.client.delete(f"/decisions/{deleted}")
    position = main.policy()["log_position"]
    content = b"".join(
        [
            line(decision_id=decision_id, reward=0.5),
            b"\n",
            line(decision_id=other, thumb="up"),
            b"{not json}\n",
            line(decision_id=decision_id, reward=0.5),
            line(decision_id=decision_id, reward=0.75),
            b"   \r\n",
            line(decision_id=UNKNOWN, reward=1),
            line(decision_id=other, reward=1.5),
            b"[1, 2]\n",
            line(decision_id=deleted, reward=1),
            line(decision_id=other, chosen_index=99),
            line(decision_id=pinned, reward=1),
            line(decision_id=other, reward=1, thumb="up"),
            line(decision_id=other, reward=1, extra=1),
            b'{"decision_id": "\xff", "reward": 1}\n',
            line(decision_id=other, reward=1).strip(),  # the last line need not end
        ]
    )
    with main.watching() as change:
        results = answers(post(main, content, path))
    assert [(answer["line"], answer["status"]) for answer in results] == [
        (1, "recorded"),
        (3, "recorded"),
        (4, "error"),
        (5, "duplicate"),
        (6, "error"),
        (8, "error"),
        (9, "error"),
        (10, "error"),
        (11, "error"),
        (12, "error"),
        (13, "recorded"),
        (14, "error"),
        (15, "error"),
        (16, "error"),
        (17, "recorded"),
    ]
    by_line = {answer["line"]: answer for answer in results}
    assert (by_line[1]["learned"], by_line[1]["reward"]) == (True, 0.5)
    assert (by_line[3]["learned"], by_line[3]["reward"]) == (False, 1)
    assert (by_line[5]["learned"], by_line[5]["reward"]) == (True, 0.5)
    assert (by_line[13]["learned"], by_line[13]["reward"]) == (False, 1)
    assert (by_line[17]["learned"], by_line[17]["reward"]) == (True, 1)
    assert {number: a["error"]["code"] for number, a in by_line.items() if a["status"] == "error"} == {
        4: "invalid_value",
        6: "idempotency_conflict",
        8: "not_found",
        9: "invalid_value",
        10: "invalid_value",
        11: "deleted",
        12: "invalid_value",
        14: "invalid_value",
        15: "invalid_value",
        16: "invalid_value",
    }
    assert by_line[9]["error"]["param"] == "reward"
    assert by_line[12]["error"]["param"] == "chosen_index"
    assert by_line[15]["error"]["param"] == "extra"
    assert main.policy()["log_position"] == position + 4
    assert change("laserve_feedback_total", kind="reward", outcome="recorded") == 3
    assert change("laserve_feedback_total", kind="thumb", outcome="recorded") == 1
    assert change("laserve_feedback_total", kind="reward", outcome="duplicate") == 1
    assert change("laserve_feedback_total", kind="reward", outcome="conflict") == 1


@pytest.mark.parametrize("bad", [{"reward": 2}, {"reward": 0.5}, {"thumb": 7}, {"chosen_index": 99}])
def test_the_error_of_a_line_has_the_fields_of_every_error(main: Service, bad: dict[str, Any]) -> None:
    decision_id = main.decide()
    main.rate(decision_id, reward=0)  # `reward: 0.5` is a conflict with it
    (result,) = answers(post(main, line(decision_id=decision_id, **bad)))
    assert result["status"] == "error"
    LineAnswer.model_validate(result, strict=True)
    assert result["error"].keys() >= {"type", "code", "message", "param"}


@pytest.mark.parametrize(
    "bad",
    [
        b'{"decision_id": "x", "source": "\\ud800", "reward": 1}',
        b'{"decision_id": "\\ud83d\\ude00", "reward": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
        b'{"decision_id": "x", "reward": ' + b"9" * 10_000 + b"}",
    ],
    ids=["half-surrogate", "deeply-nested", "huge-number"],
)
def test_a_broken_line_does_not_stop_the_others(main: Service, bad: bytes) -> None:
    decision_id = main.decide()
    answer = httpx.post(
        f"{main.server.url}/feedback/batch", content=bad + b"\n" + line(decision_id=decision_id, reward=1)
    )
    assert [result["status"] for result in answers(answer)] == ["error", "recorded"]


def test_lines_that_arrive_together_are_recorded_in_their_order(main: Service) -> None:
    decisions = [main.decide(n=1) for _ in range(20)]
    position = main.policy()["log_position"]
    results = answers(post(main, b"".join(line(decision_id=decision, reward=1) for decision in decisions)))
    assert all(answer["status"] == "recorded" for answer in results)
    assert [main.decision(decision)["feedback"][0]["position"] for decision in decisions] == list(
        range(position + 1, position + 21)
    )


@pytest.mark.parametrize("content", [b"", b"\n", b" \n\n\t\r\n"])
def test_a_batch_without_lines_has_no_answers(main: Service, content: bytes) -> None:
    before = main.policy()
    assert answers(post(main, content)) == []
    assert main.policy() == before
