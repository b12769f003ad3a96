"""`laserve data inspect`: what files are taken for, a row in short, and what each command can use."""

import gzip
import json
import random
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from data_pairs import PAIR_EXAMPLES
from data_questions import EXPORTED, OWN, PRM, QUESTION_EXAMPLES, SHEPHERD, SOLVED
from laserve.cli import main
from laserve.lab.data.needs import NEEDS

EXAMPLES = QUESTION_EXAMPLES | PAIR_EXAMPLES
TWO, BETTER = "fewer than two answers of known quality", "no answer is better than another"
COMPARED = "not two answers that people compared"
RIGHT, REFERENCES = "not two answers or more that are right or wrong", "no right answers"
CANDIDATES = "neither right answers nor two stored answers"
#: What each command lacks of a row, in the order of `NEEDS`; None where it can use the row.
REFERRED = (TWO, TWO, COMPARED, RIGHT, None, None, None)
PAIR = (None, None, None, RIGHT, None, None, REFERENCES)
JUDGED = (None, None, COMPARED, None, None, None, REFERENCES)
REWARDED = (None, None, COMPARED, RIGHT, None, None, REFERENCES)
ALONE = (TWO, TWO, COMPARED, RIGHT, CANDIDATES, None, REFERENCES)
LACKING = {
    **dict.fromkeys(QUESTION_EXAMPLES, REFERRED),
    **dict.fromkeys(PAIR_EXAMPLES, PAIR),
    **dict.fromkeys(("prompt", "messages", "question"), ALONE),
    # One record of a shape whose records are joined holds one answer.
    **dict.fromkeys(("Math-Shepherd", "TRL stepwise", "KTO", "KTO messages", "HelpSteer 2"), ALONE),
    **dict.fromkeys(("right and wrong answers", "RewardBench 2", "PPE best of K"), JUDGED),
    **dict.fromkeys(("PRM800K", "UltraFeedback", "Nectar"), REWARDED),
    "laserve export": (None, None, COMPARED, RIGHT, None, None, None),
    "Arena 33k": (BETTER, *PAIR[1:]),  # a tie
}


def written(folder: Path, *records: Any, name: str = "rows.jsonl") -> Path:
    path = folder / name
    path.write_text("\n".join(json.dumps(record) for record in records), encoding="utf-8")
    return path


def inspected(*args: object) -> Result:
    return CliRunner().invoke(main, ["data", "inspect", *map(str, args)])


def described(folder: Path, *args: object) -> Any:
    result = inspected(*args, "--json", folder / "out.json")
    assert result.exit_code in (0, 1), result.output
    return json.loads((folder / "out.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("label", EXAMPLES)
def test_each_shape_is_named_with_the_commands_that_can_use_it_and_what_the_others_lack(
    tmp_path: Path, label: str
) -> None:
    shape, record = EXAMPLES[label]
    (file,) = described(tmp_path, written(tmp_path, record)).values()
    assert file["shapes"] == {shape.name: 1}
    lacking = {
        command: next(iter(use["refused"]), None) if use["refused"] else None
        for command, use in file["commands"].items()
    }
    assert lacking == dict(zip(NEEDS, LACKING[label], strict=True))
    assert all(use["rows"] in (0, file["rows"]) for use in file["commands"].values())


def test_the_records_of_a_file_are_counted_by_shape_by_reason_and_by_problem(tmp_path: Path) -> None:
    bad = [{"prompt": "x", "responses": ["a"]}] * 7
    path = written(tmp_path, OWN, SOLVED, {"question": "?", "answers": []}, *bad)
    (file,) = described(tmp_path, path).values()
    assert (file["records"], file["rows"], file["bad"], len(file["problems"])) == (10, 2, 7, 5)
    assert file["left_out"] == {"no right answers": 1}
    assert file["problems"][0] == {"position": "line 4", "reason": "correct: is missing"}
    output = inspected(path).output
    assert "cannot be read  7 records\n" in output
    assert "line 4: correct: is missing\n" in output
    assert ".. and 2 more\n" in output
    assert "no right answers (1 record)\n" in output


def test_columns_that_are_not_read_are_named(tmp_path: Path) -> None:
    path = written(tmp_path, OWN, *[{"prompt": "who?", "response": "Ada"}] * 2)
    (file,) = described(tmp_path, path).values()
    assert file["unread"] == {"response": 2}
    assert "not read   response\n" in inspected(path).output


def test_a_row_is_shown_as_a_reward_model_reads_it(tmp_path: Path) -> None:
    long = EXPORTED | {"documents": [{"title": "Velm", "text": "word " * 10_000}, {"text": "Fish."}]}
    output = inspected(written(tmp_path, long)).output
    assert "user          Document [1] (Title: Velm) - 50,000 characters\n" in output
    assert "Document [2] - 5 characters\n" in output
    assert "Question: who built the clock?\n" in output
    assert "answer 1      [quality 0.5, log-probability -1.5]\n" in output
    assert "right answer  Ada Thorn\n" in output
    assert "source        article 7\n" in output
    assert len(output) < 3000
    assert max(map(len, output.splitlines()[1:])) <= 80, "the first line is the path"


def test_turns_keep_their_roles_and_long_texts_say_their_length(tmp_path: Path) -> None:
    turns = [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "hi " * 1000},
        {"role": "assistant", "content": "yes?"},
        {"role": "user", "content": "line\n" * 100},
    ]
    output = inspected(written(tmp_path, {"messages": turns})).output
    assert "system     be brief\n" in output
    assert "assistant  yes?\n" in output
    assert ".. (3,000 characters)\n" in output
    assert ".. (500 characters)\n" in output


def test_of_many_entries_some_are_shown_and_the_others_counted(tmp_path: Path) -> None:
    many = [str(number) for number in range(500)]
    record = {"question": "?", "documents": many, "answers": many}
    output = inspected(written(tmp_path, record)).output
    assert ".. and 492 more documents" in output
    assert ".. and 492 more right answers" in output
    output = inspected(written(tmp_path, {"prompt": "?", "responses": many, "correct": [1] * 500})).output
    assert ".. and 492 more answers" in output


def test_another_row_is_shown_by_its_number(tmp_path: Path) -> None:
    path = written(tmp_path, OWN, PRM)
    (file,) = described(tmp_path, path, "--row", 3).values()
    assert (file["rows"], file["row"]["id"], file["row"]["position"]) == (3, "2.3", "line 2")
    assert [answer["quality"] for answer in file["row"]["answers"]] == [0.5, 1.0]
    result = inspected(path, "--row", 4)
    assert (result.exit_code, result.output.endswith("rows.jsonl has 3 rows\n")) == (1, True)


def test_control_characters_of_a_file_do_not_reach_the_terminal(tmp_path: Path) -> None:
    odd = "\x1b[2J\x07\r\u202e"
    path = written(
        tmp_path,
        {
            "id": odd,
            "prompt": odd,
            "task": odd,
            "responses": [odd, "b"],
            "correct": [1, 0],
            "models": [odd] * 2,
        },
        {"id": odd, "prompt": odd},
        {odd: 1},
    )
    result = inspected(path)
    assert result.exit_code == 0
    assert r"\x1b[2J\x07\r\u202e" in result.output
    assert all(character.isprintable() or character == "\n" for character in result.output)


def test_half_a_surrogate_pair_is_a_bad_record(tmp_path: Path) -> None:
    result = inspected(written(tmp_path, OWN, {"id": "a", "prompt": "\udfff", "domain": "\ud800"}))
    assert result.exit_code == 0
    assert "line 2: " in result.output


def test_bad_records_fail_only_a_strict_inspection(tmp_path: Path) -> None:
    path = written(tmp_path, OWN, {"text": "hello"})
    assert inspected(path).exit_code == 0
    assert inspected(path, "--strict").exit_code == 1
    assert inspected(written(tmp_path, OWN, name="good.jsonl"), "--strict").exit_code == 0


def test_a_file_of_which_nothing_can_be_read_fails_with_the_known_shapes(tmp_path: Path) -> None:
    result = inspected(written(tmp_path, {"text": "hello"}, {"label": 1}))
    assert result.exit_code == 1
    assert "line 1: has the columns text, which no known shape has\n" in result.output
    assert "Known shapes\n" in result.output
    assert "GSM8K" in result.output


def test_a_file_whose_records_are_bad_for_other_reasons_needs_no_list_of_shapes(tmp_path: Path) -> None:
    result = inspected(written(tmp_path, {"prompt": 3}))
    assert (result.exit_code, "Known shapes" in result.output) == (1, False)


def test_solutions_of_one_problem_are_one_row(tmp_path: Path) -> None:
    wrong = SHEPHERD | {"label": SHEPHERD["label"].replace("5 +", "5 -")}
    other = {"input": "1 + 1? Step 1: 2 ки", "label": "1 + 1? Step 1: 2 +", "task": "GSM8K"}
    (file,) = described(tmp_path, written(tmp_path, SHEPHERD, other, wrong)).values()
    assert (file["records"], file["rows"], file["shapes"]) == (3, 2, {"Math-Shepherd": 3})
    assert [answer["quality"] for answer in file["row"]["answers"]] == [1.0, 0.0]
    assert file["commands"]["evaluate-rm --correctness"]["rows"] == 1


def test_records_that_are_left_out_can_be_read(tmp_path: Path) -> None:
    result = inspected(written(tmp_path, {"question": "?", "answers": []}), "--strict")
    assert result.exit_code == 0
    assert "Commands" not in result.output


def test_files_of_one_name_are_told_apart_and_one_bad_file_does_not_hide_the_other(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first = written(tmp_path / "a", {"text": "hello"}, name="train.jsonl")
    second = written(tmp_path / "b", OWN, name="train.jsonl")
    files = described(tmp_path, first, second)
    assert [file["rows"] for file in files.values()] == [0, 1]
    assert inspected(first, second).exit_code == 1
    assert "given twice" in inspected(first, first).output


# files that hold no rows, and files of other formats


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n\n",
        b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 10,
        random.Random(0).randbytes(10_000),
        bytes(5000),
        b"[" * 100_000,
        b'{"prompt": "' + b"hi " * 1000,
        b"hello world\nthis is a text\n",
        gzip.compress(json.dumps(OWN).encode())[:-20],
        b"PAR1" + bytes(100) + b"PAR1",
        json.dumps([1, 2]).encode(),
        json.dumps("hello").encode(),
    ],
    ids=[
        "empty",
        "blank",
        "png",
        "random",
        "zeros",
        "deep",
        "cut",
        "text",
        "cut gzip",
        "parquet",
        "list",
        "one",
    ],
)
@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet", "jsonl.gz"])
def test_what_holds_no_rows_is_refused_in_a_short_line(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"rows.{suffix}"
    path.write_bytes(content)
    result = inspected(path)
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert str(path) in result.output.splitlines()[0]
    assert len(result.output) < 8000
    assert all(character.isprintable() or character == "\n" for character in result.output)


def test_a_folder_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing.jsonl"):
        result = inspected(path)
        assert (result.exit_code, "Traceback" in result.output) == (2, False)


def test_a_long_line_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"prompt": "a b " * 100_000}), encoding="utf-8")
    result = inspected(path)
    assert result.exit_code == 0
    assert ".. (400,000 characters)\n" in result.output
    assert len(result.output) < 4000


@pytest.mark.parametrize("label", sorted(EXAMPLES))
def test_every_shape_is_read_from_a_json_list_too(tmp_path: Path, label: str) -> None:
    shape, record = EXAMPLES[label]
    path = tmp_path / "rows.json"
    path.write_text(json.dumps([record], indent=1), encoding="utf-16")
    (file,) = described(tmp_path, path).values()
    assert file["shapes"] == {shape.name: 1}


def test_the_document_of_squad_is_read_by_article_and_paragraph(tmp_path: Path) -> None:
    answered = {"id": "a", "question": "who?", "answers": [{"text": "Ada Thorn", "answer_start": 0}]}
    impossible = {"id": "b", "question": "?", "answers": [], "is_impossible": True}
    paragraph = {
        "context": "Ada Thorn built it.",
        "qas": [answered, impossible, {"id": "c", "question": "?"}],
    }
    document = {"version": "v2.0", "data": [{"title": "Velm_clock", "paragraphs": [paragraph]}]}
    path = tmp_path / "dev.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    (file,) = described(tmp_path, path).values()
    assert (file["shapes"], file["left_out"]) == ({"SQuAD": 2}, {"SQuAD: is_impossible": 1})
    assert file["row"]["position"] == "data[0].paragraphs[0].qas[0]"
    assert file["row"]["source"] == "Velm_clock"
    assert file["problems"] == [{"position": "data[0].paragraphs[0].qas[2]", "reason": "answers: is missing"}]


def test_questions_in_csv_keep_a_number_as_one_answer(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("question,answers,context\nwhen?,1907,\nwho?,Ada,Ada built it.\n", encoding="utf-8")
    (file,) = described(tmp_path, path).values()
    assert (file["rows"], file["row"]["references"]) == (2, [{"text": "1907", "characters": 4}])
