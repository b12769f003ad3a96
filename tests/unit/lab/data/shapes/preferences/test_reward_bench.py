"""RewardBench and RewardBench 2."""

import json
from typing import Any

import pytest

from data_pairs import ASK, BAD, BEFORE, GOOD, REWARD_BENCH, REWARD_BENCH_2, refusal, turns
from data_questions import only
from laserve.lab.data.row import CORRECTNESS, PREFERENCE


def test_the_subset_of_reward_bench_is_the_domain() -> None:
    row = only(REWARD_BENCH)
    assert (row.domains, row.id, row.models) == (
        ("alpacaeval-easy",),
        "alpacaeval-easy/30",
        ("large", "small"),
    )
    assert (row.texts, row.qualities, row.metric) == ((GOOD, BAD), (1.0, 0.0), PREFERENCE)
    assert (row.request.prompt, row.source) == (ASK, ASK)


def test_the_models_of_reward_bench_may_be_missing() -> None:
    record = {name: value for name, value in REWARD_BENCH.items() if not name.endswith("_model")}
    for changes in (
        {},
        {name: [{"role": "assistant", "content": record[name]}] for name in ("chosen", "rejected")},
    ):
        row = only(record | changes)
        assert (row.domains, row.id, row.texts) == (("alpacaeval-easy",), "alpacaeval-easy/30", (GOOD, BAD))


def test_a_prompt_of_reward_bench_may_be_messages() -> None:
    assert turns(only(REWARD_BENCH | {"prompt": BEFORE}))[-1] == ("user", ASK)


def test_reward_bench_2_has_several_right_answers_in_its_ties() -> None:
    row = only(REWARD_BENCH_2)
    assert (row.texts, row.qualities) == ((GOOD, "Thorn.", BAD, "Nobody."), (1.0, 1.0, 0.0, 0.0))
    assert (row.metric, row.domains, row.id, row.models) == (CORRECTNESS, ("Ties",), "ref:4", ())


def test_lists_of_reward_bench_2_may_be_json_texts_but_json_answers_of_other_sets_are_texts() -> None:
    written = {column: json.dumps(REWARD_BENCH_2[column]) for column in ("chosen", "rejected")}
    assert only(REWARD_BENCH_2 | written).texts == only(REWARD_BENCH_2).texts
    assert only({"prompt": "a list", "chosen": '["a"]', "rejected": '["b"]'}).texts == ('["a"]', '["b"]')


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (REWARD_BENCH | {"rejected": GOOD}, "both answers are equal"),
        (REWARD_BENCH | {"chosen": None}, "chosen: is null"),
        (REWARD_BENCH | {"subset": None}, "subset: is null"),
        (REWARD_BENCH | {"rejected_model": None}, "rejected_model: is missing"),
        (REWARD_BENCH_2 | {"rejected": []}, "no answer is better than another"),
        (REWARD_BENCH_2 | {"chosen": None}, "chosen: is null"),
        (REWARD_BENCH_2 | {"chosen": ["a", None]}, "chosen[1]: must be a text, is null"),
        (REWARD_BENCH_2 | {"prompt": None}, "prompt: is null"),
    ],
)
def test_a_bad_record_of_reward_bench_says_why(record: dict[str, Any], said: str) -> None:
    assert refusal(record).startswith(said)
