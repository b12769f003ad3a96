"""Rows of every form become groups, and a split keeps a source together."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laserve.errors import InvalidRequest
from laserve.lab.data.rows import Group, read, shortened, split, transcript
from laserve.types import Message, Request, Sampling

DOCUMENTS = [{"title": "Velm", "text": "Ada Thorn built the clock."}, {"text": "Fish is sold at six."}]
SAMPLING = Sampling(n=1, temperature=1.0, top_p=1.0, max_tokens=8)


def written(folder: Path, *rows: dict[str, Any]) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


def group(source: str, *rewards: float) -> Group:
    request = Request(question="who?", sampling=SAMPLING, timeout_s=1.0)
    return Group(id=source, request=request, texts=("x",) * len(rewards), rewards=rewards, source=source)


def test_preferences_are_groups_of_two(tmp_path: Path) -> None:
    (one,) = read(written(tmp_path, {"prompt": "say hello", "chosen": "hello", "rejected": "no"}))
    assert (one.texts, one.rewards) == (("hello", "no"), (1.0, 0.0))
    assert one.request.prompt == "say hello"


def test_right_and_wrong_answers_are_one_group(tmp_path: Path) -> None:
    row = {"prompt": "1 + 1?", "responses": ["2", "3", "11"], "correct": [True, False, False]}
    (one,) = read(written(tmp_path, row))
    assert (one.texts, one.rewards) == (("2", "3", "11"), (1.0, 0.0, 0.0))


def test_exported_rows_keep_the_candidates_whose_reward_is_known(tmp_path: Path) -> None:
    row = {
        "id": "d1",
        "question": "who built the clock?",
        "documents": DOCUMENTS,
        "candidates": [
            {"text": "Ada", "logprob": -1.5},
            {"text": "a boat", "logprob": -2.0},
            {"text": "Ada Thorn", "logprob": -2.5},
        ],
        "rewards": [0.5, None, 1.0],
    }
    (one,) = read(written(tmp_path, row))
    assert (one.texts, one.rewards, one.logprobs) == (("Ada", "Ada Thorn"), (0.5, 1.0), (-1.5, -2.5))
    assert one.id == "d1"
    assert [document.title for document in one.request.documents] == ["Velm", ""]


def test_right_answers_that_feedback_names_are_answers_where_asked(tmp_path: Path) -> None:
    row = {
        "prompt": "who?",
        "metadata": {"source": "article 7"},
        "candidates": [{"text": "a boat", "logprob": -2.0}],
        "rewards": [0.0],
        "feedback": [{"kind": "thumb", "value": 0.0}, {"kind": "references", "value": ["Ada Thorn", "Ada"]}],
    }
    path = written(tmp_path, row)
    (one,) = read(path, references=True)
    assert (one.texts, one.rewards, one.logprobs) == (("a boat", "Ada Thorn"), (0.0, 1.0), ())
    assert one.source == "article 7"
    assert read(path)[0].texts == ("a boat",)


def test_an_exported_row_without_feedback_is_no_group(tmp_path: Path) -> None:
    assert read(written(tmp_path, {"prompt": "x", "candidates": [{"text": "a"}], "rewards": [None]})) == []


def test_compressed_rows_are_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write(
            json.dumps({"messages": [{"role": "user", "content": "hi"}], "chosen": "a", "rejected": "b"})
        )
    assert read(path)[0].request.messages == (Message(role="user", content="hi"),)


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ({"prompt": "x", "chosen": "a"}, "rejected"),
        ({"chosen": "a", "rejected": "b"}, "prompt"),
        ({"prompt": "x", "chosen": 3, "rejected": "b"}, "not int"),
        ({"prompt": "x", "responses": ["a", "b"], "correct": [True]}, "zip"),
        ({"prompt": "x", "candidates": [{"text": "a"}], "rewards": [7]}, "0..1"),
        ({"question": "x", "documents": [{"title": "t"}], "chosen": "a", "rejected": "b"}, "text"),
    ],
)
def test_a_row_of_another_form_is_named_by_its_line(
    tmp_path: Path, row: dict[str, Any], complaint: str
) -> None:
    path = written(tmp_path, {"prompt": "x", "chosen": "a", "rejected": "b"}, row)
    with pytest.raises(InvalidRequest, match=r"rows\.jsonl:2: ") as caught:
        read(path)
    assert complaint in caught.value.message


# transcripts


def test_a_transcript_becomes_turns() -> None:
    turns = transcript("Human: a pen?\n\nAssistant: which one?\n\nHuman: the\n\nred one\n\nAssistant:")
    assert [(turn.role, turn.content) for turn in turns] == [
        ("user", "a pen?"),
        ("assistant", "which one?"),
        ("user", "the\n\nred one"),
    ]


@pytest.mark.parametrize("text", ["what is 1 + 1?", "a Human: b", "", "Assistant: hi"])
def test_other_texts_are_no_transcripts(text: str) -> None:
    assert transcript(text) == ()


# splits


@given(sources=st.lists(st.sampled_from("abcdefghij"), max_size=30), share=st.floats(0, 0.99))
def test_a_split_loses_nothing_and_divides_no_source(sources: list[str], share: float) -> None:
    groups = [group(source, 0.0, 1.0) for source in sources]
    train, held = split(groups, share)
    assert len(train) + len(held) == len(groups)
    assert not {one.source for one in train} & {one.source for one in held}


def test_the_last_sources_are_held_out() -> None:
    groups = [group(source, 0.0, 1.0) for source in "aabbccddee"]
    train, held = split(groups, 0.2)
    assert [one.source for one in held] == ["e", "e"]
    assert len(train) == 8


def test_nothing_can_be_learned_from_answers_of_one_quality() -> None:
    groups = [group("a", 0.5, 0.5), group("b", 0.0, 1.0), group("c", 1.0), group("d", 0.2, 0.4)]
    assert [one.id for one in shortened(groups, None)] == ["b", "d"]
    assert [one.id for one in shortened(groups, 1)] == ["b"]
