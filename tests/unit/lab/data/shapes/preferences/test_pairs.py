"""Pairs: laserve's own, HH-RLHF, TRL, Skywork and OpenAI."""

import json
from typing import Any

import pytest

from data_pairs import ASK, BAD, BEFORE, CHOSEN, GOOD, HH, OPENAI, OWN, REJECTED, TRL, USER, refusal, turns
from data_questions import only
from laserve.lab.data.row import PREFERENCE
from laserve.types import Document

TURNS = [(message["role"], message["content"]) for message in BEFORE]
TOOL = {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "type": "function"}]}

# laserve's own pairs


def test_of_a_pair_the_chosen_answer_is_first_and_of_quality_one() -> None:
    row = only(OWN)
    assert (row.texts, row.qualities, row.metric) == ((GOOD, BAD), (1.0, 0.0), PREFERENCE)
    assert (row.id, row.file, row.position, row.request.prompt) == ("7", "clocks", "line 7", ASK)


def test_a_pair_belongs_to_the_domain_of_its_file_and_is_a_source_of_its_own() -> None:
    row = only(OWN, file="harmless")
    assert (row.domains, row.models, row.source, row.task) == (("harmless",), (), ASK, None)


def test_a_record_in_several_forms_is_a_pair_first() -> None:
    others = {"responses": ["b"], "correct": [True], "candidates": [{"text": "a"}], "rewards": [0.5]}
    assert only(OWN | others).texts == (GOOD, BAD)


def test_a_pair_may_name_id_domain_models_source_and_task() -> None:
    named = {"id": 3, "domain": "chat", "chosen_model": "large", "rejected_model": "small", "task": "qa"}
    row = only(OWN | named | {"source": "forum"})
    assert (row.id, row.domains, row.models, row.task) == ("3", ("chat",), ("large", "small"), "qa")
    assert row.source == "forum"
    assert only(OWN | {"metadata": {"source": "article 7"}}).source == "article 7"


def test_an_id_may_be_a_number_that_pandas_saved_as_a_float() -> None:
    assert only(OWN | {"id": 30.0}).id == "30"


@pytest.mark.parametrize("column", ["id", "domain", "chosen_model", "rejected_model", "source", "metadata"])
def test_a_null_column_is_a_missing_one(column: str) -> None:
    assert only(OWN | {column: None}) == only(OWN)


def test_a_request_is_a_question_with_documents_or_messages_or_a_prompt() -> None:
    documents = [{"title": "Velm", "text": "It has a clock."}, {"text": "Fish is sold."}]
    asked = only({"question": ASK, "documents": documents, "chosen": GOOD, "rejected": BAD}).request
    assert asked.question == ASK
    assert asked.documents == (
        Document(title="Velm", text="It has a clock."),
        Document(text="Fish is sold."),
    )
    assert turns(only({"messages": BEFORE, "chosen": GOOD, "rejected": BAD})) == TURNS
    assert turns(only({"prompt": BEFORE, "chosen": GOOD, "rejected": BAD})) == TURNS


@pytest.mark.parametrize(
    "prompt", ["Human: hi\n\nAssistant:", "\n\nHuman: hi\n\nAssistant: ", "Human: hi\nAssistant:"]
)
def test_a_prompt_that_is_a_transcript_becomes_turns(prompt: str) -> None:
    assert turns(only(OWN | {"prompt": prompt})) == [("user", "hi")]


@pytest.mark.parametrize("prompt", ["hi", "Human: hi\n\nAssistant:", [{"role": "user", "content": "hi"}]])
def test_transcripts_that_repeat_their_prompt_are_no_answers(prompt: object) -> None:
    talk = "\n\nHuman: hi\n\nAssistant: "
    row = only({"prompt": prompt, "chosen": f"{talk}yes", "rejected": f"{talk}no"})
    assert (turns(row), row.texts) == ([("user", "hi")], ("yes", "no"))
    other = only({"prompt": "write a talk", "chosen": f"{talk}yes", "rejected": f"{talk}no"})
    assert (other.request.prompt, other.texts[0]) == ("write a talk", f"{talk}yes")


@pytest.mark.parametrize(
    ("chosen", "rejected"),
    [
        ("score_chosen", "score_rejected"),
        ("chosen_score", "rejected_score"),
        ("chosen_rating", "rejected_rating"),
        ("rating_chosen", "rating_rejected"),
    ],
)
@pytest.mark.parametrize("record", [OWN, TRL, HH])
def test_scores_agree_with_the_choice(record: dict[str, Any], chosen: str, rejected: str) -> None:
    assert only(record | {chosen: 2, rejected: 1}).qualities == (1.0, 0.0)
    assert only(record | {chosen: 2, rejected: None}).qualities == (1.0, 0.0)
    assert refusal(record | {chosen: 1, rejected: 2}).startswith(f"{chosen}: must be above {rejected}")
    assert refusal(record | {chosen: 1, rejected: 1}) == "no answer is better than another"


def test_an_answer_at_the_end_of_the_messages_is_no_part_of_the_request() -> None:
    for answer in (CHOSEN, REJECTED):
        row = only({"messages": [*BEFORE, answer], "chosen": GOOD, "rejected": BAD})
        assert (turns(row), row.texts) == (TURNS, (GOOD, BAD))
    begun = [*BEFORE, {"role": "assistant", "content": "It was"}]
    assert turns(only({"messages": begun, "chosen": " Ada.", "rejected": " Bo."}))[-1] == (
        "assistant",
        "It was",
    )


@pytest.mark.parametrize("column", ["prompt", "question"])
def test_an_empty_request_is_refused(column: str) -> None:
    for empty in ("", " \n"):
        assert refusal({column: empty, "chosen": "a", "rejected": "b"}) == f"{column}: is empty"


def test_the_answer_beside_messages_may_be_a_message() -> None:
    row = only({"messages": BEFORE, "chosen": CHOSEN, "rejected": [REJECTED]})
    assert (turns(row), row.texts) == (TURNS, (GOOD, BAD))


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"prompt": "x", "chosen": "a"}, "rejected: is missing"),
        ({"prompt": "x", "rejected": "a"}, "chosen: is missing"),
        ({"chosen": "a", "rejected": "b"}, "prompt: is missing: a pair of texts needs a prompt"),
        (OWN | {"chosen": 3}, "chosen: must be a text, is a number"),
        (OWN | {"rejected": None}, "rejected: is null"),
        (OWN | {"prompt": 3}, "prompt: must be a text, is a number"),
        (OWN | {"chosen_model": "large"}, "rejected_model: is missing, but chosen_model is there"),
        (OWN | {"rejected_model": "large"}, "chosen_model: is missing, but rejected_model is there"),
        (OWN | {"domain": 7}, "domain: must be a text, is a number"),
        (OWN | {"id": [7]}, "id: must be a text or a whole number, is a list"),
        (
            {"question": "x", "documents": [{"title": "t"}], "chosen": "a", "rejected": "b"},
            "documents[0].text",
        ),
        ({"messages": [{"role": "x"}], "chosen": "a", "rejected": "b"}, "messages[0].role: must be system"),
        (
            {"messages": BEFORE, "chosen": [CHOSEN, CHOSEN], "rejected": "b"},
            "rejected: must be a list of messages",
        ),
        (OWN | {"rejected": GOOD}, "both answers are equal"),
        ({"messages": [USER, TOOL], "chosen": "a", "rejected": "b"}, "a message is a tool's or calls a tool"),
    ],
)
def test_a_pair_that_cannot_be_read_names_its_column(record: dict[str, Any], said: str) -> None:
    assert refusal(record).startswith(said)


# HH-RLHF


def test_the_common_turns_of_two_transcripts_are_the_request() -> None:
    row = only(HH)
    assert turns(row) == [("user", "Hello."), ("assistant", "Good day."), ("user", ASK)]
    assert (row.texts, row.qualities, row.metric) == ((GOOD, BAD), (1.0, 0.0), PREFERENCE)
    assert (row.source, row.domains) == (ASK, ())


@pytest.mark.parametrize(
    "written",
    [
        lambda text: text.lstrip(),
        lambda text: f" \n\n{text}\n",
        lambda text: text.replace("\n\n", "\n"),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace(": ", ":"),
        lambda text: text.replace("\n\n", "\n \n\n"),
    ],
)
def test_transcripts_are_read_alike_whatever_their_white_space(written: Any) -> None:
    row = only({column: written(text) for column, text in HH.items()})
    assert (row.request, row.texts) == (only(HH).request, (GOOD, BAD))


def test_what_precedes_a_transcript_is_a_system_message() -> None:
    row = only({column: "Be kind." + text for column, text in HH.items()})
    assert turns(row)[:2] == [("system", "Be kind."), ("user", "Hello.")]


def test_an_answer_may_be_empty_and_may_quote_a_dialogue_on_lines_of_its_own() -> None:
    row = only(
        {"chosen": "\n\nHuman: hi\n\nAssistant:", "rejected": "\n\nHuman: hi\n\nAssistant: a\nHuman: b"}
    )
    assert row.texts == ("", "a\nHuman: b")
    assert turns(row) == [("user", "hi")]


@pytest.mark.parametrize(
    ("chosen", "rejected", "said"),
    [
        (
            "Human: a\n\nAssistant: x",
            "Human: b\n\nAssistant: y",
            "the conversations differ before the last answer",
        ),
        (
            "Human: a\n\nAssistant: x\n\nHuman: so\n\nAssistant: y",
            "Human: a\n\nAssistant: z",
            "the conversations differ before the last answer",
        ),
        ("Human: a\n\nAssistant: x", "Human: a\n\nAssistant: x ", "both answers are equal"),
        ("Human: a\n\nAssistant:", "Human: a\n\nAssistant: ", "both answers are equal"),
        (
            "Human: a\n\nAssistant: x\n\nHuman: b",
            "Human: a\n\nAssistant: y",
            "the conversation does not end with an answer",
        ),
        ("Human: a\n\nAssistant: x", "no transcript", "rejected: must be a transcript"),
        ("Human: a\n\nAssistant: x", None, "rejected: is null"),
        ("Assistant: x", "Assistant: y", "chosen: holds no user's message before the answer"),
    ],
)
def test_transcripts_that_hold_no_pair_say_why(chosen: str, rejected: str | None, said: str) -> None:
    assert refusal({"chosen": chosen, "rejected": rejected}).startswith(said)


# TRL and Skywork


@pytest.mark.parametrize(
    "record",
    [
        {"chosen": [*BEFORE, CHOSEN], "rejected": [*BEFORE, REJECTED]},
        {"prompt": BEFORE, "chosen": [CHOSEN], "rejected": [REJECTED]},
        {"prompt": BEFORE, "chosen": CHOSEN, "rejected": REJECTED},
        {"prompt": BEFORE, "chosen": [*BEFORE, CHOSEN], "rejected": [*BEFORE, REJECTED]},
        {"prompt": BEFORE, "chosen": [USER, CHOSEN], "rejected": [USER, REJECTED]},
        {"prompt": BEFORE[:2], "chosen": [*BEFORE[2:], CHOSEN], "rejected": [*BEFORE[2:], REJECTED]},
        {"prompt": BEFORE[:3], "chosen": [USER, CHOSEN], "rejected": [USER, REJECTED]},
        {"prompt": BEFORE[:1], "chosen": [*BEFORE[1:], CHOSEN], "rejected": [*BEFORE[1:], REJECTED]},
        {"prompt": BEFORE[:1], "chosen": [*BEFORE, CHOSEN], "rejected": [*BEFORE, REJECTED]},
        {"prompt": ASK, "chosen": [*BEFORE, CHOSEN], "rejected": [*BEFORE, REJECTED]},
        {"prompt": None, "chosen": [*BEFORE, CHOSEN], "rejected": [*BEFORE, REJECTED]},
        {"prompt": json.dumps(BEFORE), "chosen": json.dumps([CHOSEN]), "rejected": json.dumps([REJECTED])},
        {"prompt": BEFORE, "chosen": [CHOSEN], "rejected": BAD},
        {"messages": BEFORE, "chosen": [*BEFORE, CHOSEN], "rejected": [*BEFORE, REJECTED]},
        {"question": ASK, "chosen": [*BEFORE, CHOSEN], "rejected": [*BEFORE, REJECTED]},
    ],
)
def test_message_lists_are_read_alike_wherever_the_request_is(record: dict[str, Any]) -> None:
    row = only(record)
    assert (turns(row), row.texts, row.qualities) == (TURNS, (GOOD, BAD), (1.0, 0.0))
    assert (row.metric, row.source) == (PREFERENCE, ASK)


def test_a_text_prompt_is_the_user_s_turn_of_answers_in_messages() -> None:
    assert turns(only({"prompt": ASK, "chosen": [CHOSEN], "rejected": [REJECTED]})) == [("user", ASK)]


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"chosen": [CHOSEN], "rejected": [REJECTED]}, "chosen: holds no user's message before the answer"),
        ({"chosen": [USER, CHOSEN], "rejected": None}, "rejected: is null"),
        ({"chosen": [USER, CHOSEN], "rejected": []}, "rejected: is an empty list"),
        ({"chosen": [USER, CHOSEN], "rejected": BAD}, "rejected: must be a list of messages"),
        ({"chosen": [USER, CHOSEN], "rejected": [*BEFORE, REJECTED]}, "the conversations differ before"),
        ({"chosen": [USER, CHOSEN], "rejected": [USER, CHOSEN]}, "both answers are equal"),
        ({"chosen": [USER, CHOSEN, USER], "rejected": [USER, CHOSEN]}, "the conversation does not end with"),
        ({"chosen": [USER, TOOL], "rejected": [USER, CHOSEN]}, "a message is a tool's or calls a tool"),
        ({"prompt": 3, "chosen": [CHOSEN], "rejected": [REJECTED]}, "prompt: must be a text, is a number"),
    ],
)
def test_message_lists_that_hold_no_pair_say_why(record: dict[str, Any], said: str) -> None:
    assert refusal(record).startswith(said)


def test_the_data_set_that_a_skywork_pair_comes_from_is_its_domain_not_its_source() -> None:
    row = only(TRL | {"source": "magpie_ultra"})
    assert (row.domains, row.source) == (("magpie_ultra",), ASK)


# OpenAI


def test_openai_s_preferred_output_is_the_better_answer() -> None:
    row = only(OPENAI | {"input": {"messages": BEFORE}})
    assert (turns(row), row.texts, row.qualities) == (TURNS, (GOOD, BAD), (1.0, 0.0))


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (OPENAI | {"input": None}, "input: is null"),
        (OPENAI | {"input": "hi"}, "input: must be an object, is a text"),
        (OPENAI | {"input": {"tools": []}}, "input.messages: is missing"),
        (OPENAI | {"input": {"messages": [CHOSEN]}}, "preferred_output: holds no user's message"),
        (OPENAI | {"preferred_output": []}, "preferred_output: is an empty list"),
        (OPENAI | {"non_preferred_output": None}, "non_preferred_output: is null"),
        (OPENAI | {"non_preferred_output": [TOOL]}, "a message is a tool's or calls a tool"),
        (OPENAI | {"non_preferred_output": [CHOSEN]}, "both answers are equal"),
    ],
)
def test_a_bad_record_of_openai_s_files_says_why(record: dict[str, Any], said: str) -> None:
    assert refusal(record).startswith(said)
