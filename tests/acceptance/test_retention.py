"""What is kept of texts: all, hashes, or nothing."""

import re
from typing import Any

import pytest

from acceptance.wire import Service

pytestmark = pytest.mark.usefixtures("main", "hashing", "forgetful")

WORDS = ("quokka", "marzipan", "obelisk", "tangerine", "harmonica")
HASH = re.compile(r"[0-9a-f]{64}")


@pytest.fixture
def decision(request: pytest.FixtureRequest) -> tuple[Service, dict[str, Any]]:
    """A service and its answer to a request full of words to look for."""
    service: Service = request.getfixturevalue(request.param)
    answer = service.generate(
        question="where is the quokka quokka quokka quokka quokka quokka quokka quokka",
        documents=[{"title": "marzipan", "text": "obelisk " * 10}],
        metadata={"note": "tangerine"},
        task="chat",
        n=8,
    )
    return service, answer


def all_texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in all_texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in all_texts(item)]
    return [value] if isinstance(value, str) else []


def kept(stored: dict[str, Any]) -> list[str]:
    """Every text of a stored decision that retention governs."""
    return all_texts(
        [stored[name] for name in ("text", "request", "metadata")] + [c["text"] for c in stored["candidates"]]
    )


@pytest.mark.parametrize("decision", ["main", "hashing", "forgetful"], indirect=True)
def test_the_answer_itself_holds_the_texts_whatever_is_kept(
    decision: tuple[Service, dict[str, Any]],
) -> None:
    _, answer = decision
    assert answer["text"] == answer["candidates"][answer["index"]]["text"]
    assert any("quokka" in candidate["text"] for candidate in answer["candidates"])


@pytest.mark.parametrize("decision", ["main"], indirect=True)
def test_under_full_the_texts_are_kept(decision: tuple[Service, dict[str, Any]]) -> None:
    service, answer = decision
    stored = service.decision(answer["decision_id"])
    assert stored["candidates"] == answer["candidates"]
    assert stored["request"]["documents"] == [{"title": "marzipan", "text": "obelisk " * 10}]
    assert stored["metadata"] == {"note": "tangerine"}
    # The search of bytes below finds what is there.
    assert all(word.encode() in service.stored_bytes() for word in WORDS[:4])


@pytest.mark.parametrize("decision", ["forgetful"], indirect=True)
def test_under_none_no_text_is_kept(decision: tuple[Service, dict[str, Any]]) -> None:
    service, answer = decision
    stored = service.decision(answer["decision_id"])
    assert stored["text"] is None
    assert [candidate["text"] for candidate in stored["candidates"]] == [None] * 8
    assert stored["request"] is None
    assert stored["metadata"] == {}
    assert (stored["index"], stored["arm"], stored["score"]) == (
        answer["index"],
        answer["arm"],
        answer["score"],
    )


@pytest.mark.parametrize("decision", ["hashing"], indirect=True)
def test_under_hash_only_hashes_are_kept(decision: tuple[Service, dict[str, Any]]) -> None:
    service, answer = decision
    stored = service.decision(answer["decision_id"])
    texts = kept(stored)
    assert len(texts) == 1 + 3 + 1 + 8
    assert all(HASH.fullmatch(text) for text in texts)
    assert stored["metadata"].keys() == {"note"}
    assert stored["text"] == stored["candidates"][answer["index"]]["text"]
    # Equal texts can be told from each other without being read.
    assert [c["text"] == stored["text"] for c in stored["candidates"]] == [
        c["text"] == answer["text"] for c in answer["candidates"]
    ]


@pytest.mark.parametrize("decision", ["hashing", "forgetful"], indirect=True)
def test_the_texts_are_in_no_byte_of_the_database(decision: tuple[Service, dict[str, Any]]) -> None:
    service, answer = decision
    service.feedback(answer["decision_id"], references=["harmonica"])  # refused
    service.rate(answer["decision_id"], candidate_rewards=[0.5] * 8)
    stored = service.stored_bytes()
    assert answer["decision_id"].encode() in stored
    assert not [word for word in WORDS if word.encode() in stored]


@pytest.mark.parametrize("decision", ["hashing", "forgetful"], indirect=True)
def test_references_are_refused_where_texts_are_not_kept_and_the_setting_is_named(
    decision: tuple[Service, dict[str, Any]],
) -> None:
    service, answer = decision
    before = service.policy()
    refused = service.feedback(answer["decision_id"], references=["harmonica"])
    assert refused.status_code == 422
    error = refused.json()["error"]
    assert error["param"] == "references"
    assert error["message"].startswith("references: ")
    assert "storage.retention" in error["message"]
    assert "candidate_rewards" in error["message"]
    assert service.policy() == before


@pytest.mark.parametrize("decision", ["hashing", "forgetful"], indirect=True)
def test_other_feedback_works_without_texts(decision: tuple[Service, dict[str, Any]]) -> None:
    service, answer = decision
    rewards = [index / 8 for index in range(8)]
    result = service.rate(answer["decision_id"], candidate_rewards=rewards)
    learned = service.policy()["learn_from"] == "candidate_rewards"
    assert result == {"status": "recorded", "learned": learned, "reward": answer["index"] / 8}
    # Equal texts are equally chosen, though the texts are gone.
    twin = next(
        (
            i
            for i, candidate in enumerate(answer["candidates"])
            if candidate["text"] == answer["text"] and i != answer["index"]
        ),
        answer["index"],
    )
    assert service.rate(answer["decision_id"], chosen_index=twin)["reward"] == 1


@pytest.mark.parametrize("decision", ["hashing", "forgetful"], indirect=True)
def test_a_decision_without_texts_can_be_deleted(decision: tuple[Service, dict[str, Any]]) -> None:
    service, answer = decision
    path = f"/decisions/{answer['decision_id']}"
    assert service.client.delete(path).status_code == 204
    assert service.client.get(path).status_code == 410
