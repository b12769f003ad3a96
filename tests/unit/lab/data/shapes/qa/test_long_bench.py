"""LongBench: a metric for each of its datasets."""

from typing import Any

import pytest

from data_questions import LONG, made, only
from laserve.lab.data.shapes.base import BadRecord, LeftOut
from laserve.lab.data.shapes.qa.long_bench import CHINESE, DATASETS


@pytest.mark.parametrize("name", DATASETS)
def test_every_english_dataset_of_longbench_is_judged_by_its_metric(name: str) -> None:
    right = {"retrieval": "Paragraph 3", "count": "7"}.get(DATASETS[name].metric, "Date")
    row = only(LONG | {"dataset": name, "answers": [right], "all_classes": ["Date", "Animal"]})
    assert row.metric == DATASETS[name].metric
    assert row.quality(right) == 1.0
    assert row.quality("Animal") < 1.0


def test_longbench_e_is_known_by_its_datasets_too() -> None:
    assert only(LONG | {"dataset": "hotpotqa_e"}).task == "multi-doc-qa"


def test_the_context_of_longbench_is_a_document_and_its_input_the_question() -> None:
    row = only(LONG)
    assert (row.id, row.request.question, row.request.documents[0].text) == (
        "l1",
        LONG["input"],
        LONG["context"],
    )


def test_equal_contexts_are_one_source() -> None:
    code = LONG | {"dataset": "lcc"}
    assert only(LONG).source == only(LONG | {"input": "when?"}).source == only(code).source
    assert only(LONG).source != only(LONG | {"context": "other"}).source


def test_a_dataset_without_input_has_an_instruction_as_its_question() -> None:
    request = only(LONG | {"dataset": "gov_report", "input": ""}).request
    assert request.question == "Summarize the text above."


def test_code_is_a_prompt_to_be_continued() -> None:
    record = LONG | {"dataset": "repobench-p", "context": "import x\n", "input": "def f():\n"}
    assert only(record).request.prompt == "import x\ndef f():\n"


def test_only_the_first_line_of_a_few_shot_answer_counts() -> None:
    row = only(LONG | {"dataset": "triviaqa"})
    assert row.quality("\nAda Thorn\nQuestion: who wound it?") == 1.0


@pytest.mark.parametrize("name", CHINESE)
def test_chinese_datasets_are_left_out_by_name(name: str) -> None:
    left_out = made(LONG | {"dataset": name, "language": "zh"})
    assert left_out == LeftOut(reason=f"LongBench {name}: Chinese is not supported")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dataset": "poems"}, "dataset: must be one of narrativeqa, .*, is 'poems'"),
        ({"dataset": "trec"}, "all_classes: is null"),
        ({"answers": []}, "answers: is empty"),
        ({"answers": "Ada"}, "answers: must be a list of texts, is a text"),
        ({"input": None}, "input: is null"),
    ],
)
def test_a_bad_record_of_longbench_is_named_by_its_column(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BadRecord, match=message):
        only(LONG | changes)
