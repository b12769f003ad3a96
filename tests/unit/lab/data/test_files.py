"""Files of every known format become cases; what is none of them is refused by file and line."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from laserve.errors import InvalidRequest
from laserve.lab.data.cases import Case
from laserve.lab.data.files import read_tasks
from laserve.lab.data.longbench import CHINESE, DATASETS

DOCUMENTS = [
    {"title": "Velm", "text": "Fish is sold at six."},
    {"text": "Ada Thorn built the clock in 1874."},
]
QA = {
    "id": "q1",
    "task": "multi-doc-qa",
    "question": "who built the clock?",
    "documents": DOCUMENTS,
    "gold_document": 1,
    "answers": ["Ada Thorn", "Thorn"],
}
PAIR = {
    "id": "p1",
    "domain": "harmless",
    "prompt": "Human: hi\n\nAssistant:",
    "chosen": "hello",
    "rejected": "no",
}
SOLVED = {
    "id": "s1",
    "prompt": "1 + 1?",
    "responses": ["2", "3", "11", "two"],
    "correct": [True, False, False, True],
}
LONG = {
    "input": "who built the clock?",
    "context": "Ada Thorn built the clock in 1874.",
    "answers": ["Ada Thorn"],
    "length": 7,
    "dataset": "hotpotqa",
    "language": "en",
    "all_classes": None,
    "_id": "l1",
}


def lines(folder: Path, *rows: Any, name: str = "clocks.jsonl") -> Path:
    path = folder / name
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


def only(path: Path) -> Case:
    (case,) = read_tasks(path).cases
    return case


# questions with documents and right answers


def test_a_question_is_judged_by_f1_against_the_closest_answer(tmp_path: Path) -> None:
    case = only(lines(tmp_path, QA))
    assert (case.id, case.file, case.task, case.metric) == ("q1", "clocks", "multi-doc-qa", "f1")
    assert case.request.question == "who built the clock?"
    assert [document.title for document in case.request.documents] == ["Velm", ""]
    assert case.stored is None
    assert [case.quality(text) for text in ("Ada Thorn", "Thorn", "Ada", "fish")] == [1, 1, 2 / 3, 0]


def test_a_question_without_a_task_belongs_to_that_of_its_file_and_one_without_an_id_is_its_line(
    tmp_path: Path,
) -> None:
    row = {name: value for name, value in QA.items() if name not in ("id", "task")}
    case = only(lines(tmp_path, row, name="our-qa.dev.jsonl"))
    assert (case.id, case.task) == ("1", "our-qa")


def test_questions_on_the_same_documents_are_of_one_source_also_when_they_are_cut(tmp_path: Path) -> None:
    first, second = read_tasks(lines(tmp_path, QA, QA | {"id": "q2", "question": "when?"})).cases
    assert first.source == second.source == first.cut(documents=1).source


def test_a_cut_keeps_the_document_with_the_answer(tmp_path: Path) -> None:
    case = only(lines(tmp_path, QA))
    assert [document.text for document in case.cut(documents=1).request.documents] == [DOCUMENTS[1]["text"]]
    assert "Ada Thorn" in case.cut(passages=1).request.documents[0].text
    assert case.cut() is case


def test_a_file_may_be_compressed(tmp_path: Path) -> None:
    path = tmp_path / "clocks.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(QA).encode()))
    assert only(path).file == "clocks"


# stored answers


def test_preferences_are_two_stored_answers_of_quality_one_and_zero(tmp_path: Path) -> None:
    case = only(lines(tmp_path, PAIR))
    assert (case.metric, case.task) == ("preference", "harmless")
    assert case.request.messages[0].content == "hi"
    assert case.stored is not None
    assert dict(zip(case.stored.texts, case.stored.qualities, strict=True)) == {"hello": 1, "no": 0}


def test_right_and_wrong_answers_keep_their_quality_when_they_are_shuffled(tmp_path: Path) -> None:
    rows = [SOLVED | {"id": f"s{index}"} for index in range(20)]
    cases = read_tasks(lines(tmp_path, *rows)).cases
    right = dict(zip(SOLVED["responses"], (1.0, 0.0, 0.0, 1.0), strict=True))
    orders = set()
    for case in cases:
        assert case.metric == "correctness"
        assert case.stored is not None
        assert dict(zip(case.stored.texts, case.stored.qualities, strict=True)) == right
        orders.add(case.stored.texts)
    assert len(orders) > 5
    assert read_tasks(lines(tmp_path, *rows)).cases == cases, "the same order each time"


def test_exported_decisions_keep_their_log_probabilities(tmp_path: Path) -> None:
    row = {
        "id": "d1",
        "task": "chat",
        "prompt": "hi",
        "candidates": [{"text": "a", "logprob": -1.0}, {"text": "b", "logprob": -2.0}],
        "rewards": [0.25, 1.0],
    }
    case = only(lines(tmp_path, row))
    assert case.metric == "reward"
    assert case.stored is not None
    assert set(zip(case.stored.texts, case.stored.qualities, case.stored.logprobs, strict=True)) == {
        ("a", 0.25, -1.0),
        ("b", 1.0, -2.0),
    }


def test_decisions_that_nobody_has_judged_are_left_out_and_counted(tmp_path: Path) -> None:
    row = {"prompt": "hi", "candidates": [{"text": "a"}, {"text": "b"}], "rewards": [None, None]}
    result = read_tasks(lines(tmp_path, row, QA))
    assert len(result.cases) == 1
    assert list(result.left_out.values()) == [1]


# LongBench


@pytest.mark.parametrize("name", DATASETS)
def test_every_english_dataset_of_longbench_is_judged_by_its_metric(tmp_path: Path, name: str) -> None:
    right = {"retrieval": "Paragraph 3", "count": "7"}.get(DATASETS[name].metric, "Date")
    row = LONG | {"dataset": name, "answers": [right], "all_classes": ["Date", "Animal"]}
    case = only(lines(tmp_path, row))
    assert case.metric == DATASETS[name].metric
    assert case.quality(right) == 1.0
    assert case.quality("Animal") < 1.0


def test_longbench_e_is_known_by_its_datasets_too(tmp_path: Path) -> None:
    assert only(lines(tmp_path, LONG | {"dataset": "hotpotqa_e"})).task == "multi-doc-qa"


def test_the_context_of_longbench_is_a_document_and_its_input_the_question(tmp_path: Path) -> None:
    request = only(lines(tmp_path, LONG)).request
    assert (request.question, request.documents[0].text) == (LONG["input"], LONG["context"])


def test_a_dataset_without_input_is_asked_by_an_instruction(tmp_path: Path) -> None:
    request = only(lines(tmp_path, LONG | {"dataset": "gov_report", "input": ""})).request
    assert request.question == "Summarize the text above."


def test_code_is_a_prompt_to_be_continued(tmp_path: Path) -> None:
    row = LONG | {"dataset": "repobench-p", "context": "import x\n", "input": "def f():\n"}
    assert only(lines(tmp_path, row)).request.prompt == "import x\ndef f():\n"


def test_only_the_first_line_of_a_few_shot_answer_counts(tmp_path: Path) -> None:
    case = only(lines(tmp_path, LONG | {"dataset": "triviaqa"}))
    assert case.quality("\nAda Thorn\nQuestion: who wound it?") == 1.0


@pytest.mark.parametrize("name", CHINESE)
def test_chinese_datasets_are_left_out_by_name_and_counted(tmp_path: Path, name: str) -> None:
    row = LONG | {"dataset": name, "language": "zh"}
    result = read_tasks(lines(tmp_path, row, row | {"_id": "l2"}))
    assert (result.cases, result.left_out) == ((), {f"LongBench {name}: Chinese is not supported": 2})


# SQuAD


def squad(*rows: dict[str, Any]) -> dict[str, Any]:
    paragraph = {"context": "Ada Thorn built the clock in 1874.", "qas": list(rows)}
    return {"version": "v2.0", "data": [{"title": "Velm_clock", "paragraphs": [paragraph]}]}


WHO = {"id": "a", "question": "who?", "answers": [{"text": "Ada Thorn", "answer_start": 0}] * 3}


@pytest.mark.parametrize("indent", [None, 1])
def test_squad_is_read_by_article_and_paragraph(tmp_path: Path, indent: int | None) -> None:
    path = tmp_path / "dev-v1.1.json"
    path.write_text(json.dumps(squad(WHO, WHO | {"id": "b", "is_impossible": False}), indent=indent))
    first, second = read_tasks(path).cases
    assert (first.id, first.task, first.source) == ("a", "single-doc-qa", "Velm_clock")
    assert first.references == ("Ada Thorn",)
    assert first.request.documents[0].title == "Velm clock"
    assert second.source == first.source


def test_impossible_questions_of_squad_are_left_out_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "dev-v2.0.json"
    path.write_text(
        json.dumps(squad(WHO, {"id": "b", "question": "?", "answers": [], "is_impossible": True}))
    )
    result = read_tasks(path)
    assert len(result.cases) == 1
    assert result.left_out == {"SQuAD: is_impossible": 1}


def test_a_bad_question_of_squad_is_named_by_its_place(tmp_path: Path) -> None:
    path = tmp_path / "dev.json"
    path.write_text(json.dumps(squad(WHO, {"id": "b", "question": "?"})))
    with pytest.raises(InvalidRequest, match=r"dev\.json: needs data .*data\[0\]\.paragraphs\[0\]\.qas\[1\]"):
        read_tasks(path)


# what is refused


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"text": "hello"}, "has text; needs input, context"),
        ({}, "has no columns; needs"),
        (
            QA | {"answers": []},
            r"needs question, documents \[\{title, text\}\] and answers: .*answers is empty",
        ),
        (QA | {"answers": "Ada"}, "answers is a list of texts, not str"),
        (QA | {"answers": [1874]}, "answers holds texts, not int"),
        (QA | {"question": 7}, "question holds texts, not int"),
        (QA | {"documents": ["plain"]}, "needs question"),
        (LONG | {"dataset": "poems"}, "dataset is one of narrativeqa, .*, not 'poems'"),
        (LONG | {"dataset": "trec"}, "all_classes is a list of texts, not NoneType"),
        (PAIR | {"chosen": None}, "needs a request .*an answer is a text, not NoneType"),
        (SOLVED | {"correct": [True]}, "needs a request"),
        (SOLVED | {"domain": 3}, "task holds texts, not int"),
    ],
)
def test_a_bad_row_is_named_by_file_and_line_with_what_was_expected(
    tmp_path: Path, row: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidRequest, match=rf"clocks\.jsonl:2: {message}|clocks\.jsonl:2: .*{message}"):
        read_tasks(lines(tmp_path, PAIR, row))


def test_an_id_that_comes_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"clocks\.jsonl:2: the id 'q1' came before"):
        read_tasks(lines(tmp_path, QA, QA))
