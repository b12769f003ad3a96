"""Records of the shapes of questions, judged answers and judged steps: label -> shape and record."""

from typing import Any

from laserve.lab.data.row import Row
from laserve.lab.data.shapes.base import LeftOut, Location, Shape
from laserve.lab.data.shapes.known import shape_of
from laserve.lab.data.shapes.labelled import JUDGED, REWARDED
from laserve.lab.data.shapes.qa.choices import LONG_BENCH_V2, MMLU
from laserve.lab.data.shapes.qa.gsm8k import GSM8K
from laserve.lab.data.shapes.qa.long_bench import LONG_BENCH
from laserve.lab.data.shapes.qa.open_qa import HOTPOT_QA, TRIVIA_QA
from laserve.lab.data.shapes.qa.own import PLAIN, QUESTION
from laserve.lab.data.shapes.qa.squad import SQUAD
from laserve.lab.data.shapes.steps import MATH_SHEPHERD, PRM800K, STEPWISE

BUILT = "Ada Thorn built the clock in 1874."
DOCUMENTS: list[dict[str, Any]] = [{"title": "Velm", "text": "Fish is sold at six."}, {"text": BUILT}]
OWN: dict[str, Any] = {
    "id": "q1",
    "task": "multi-doc-qa",
    "question": "who built the clock?",
    "documents": DOCUMENTS,
    "gold_document": 1,
    "answers": ["Ada Thorn", "Thorn"],
}
SQUAD_ROW: dict[str, Any] = {
    "id": "a",
    "title": "Velm_clock",
    "context": BUILT,
    "question": "who?",
    "answers": {"text": ["Ada Thorn", "Ada Thorn"], "answer_start": [0, 0]},
}
SQUAD_DOCUMENT: dict[str, Any] = SQUAD_ROW | {
    "answers": [{"text": "Ada Thorn", "answer_start": 0}] * 3,
    "is_impossible": False,
}
TRIVIA: dict[str, Any] = {
    "question": "Who built the clock of Velm?",
    "question_id": "tc_2",
    "entity_pages": {
        "doc_source": ["TagMe"],
        "filename": ["Velm.txt"],
        "title": ["Velm"],
        "wiki_context": [BUILT],
    },
    "search_results": {"title": [], "search_context": []},
    "answer": {"value": "Ada Thorn", "aliases": ["A. Thorn", "Ada Thorn"], "type": "WikipediaEntity"},
}
HOTPOT: dict[str, Any] = {
    "id": "5a8b",
    "question": "Who built the clock above the market?",
    "answer": "Ada Thorn",
    "type": "bridge",
    "level": "hard",
    "supporting_facts": {"title": ["Velm"], "sent_id": [0]},
    "context": {"title": ["Market", "Velm"], "sentences": [["Fish is sold.", " At six."], [BUILT]]},
}
GSM8K_ROW: dict[str, Any] = {
    "question": "Ada sold 48 clocks in April and half in May. How many in all?",
    "answer": "In May she sold 48/2 = <<48/2=24>>24.\nIn all 48+24 = <<48+24=72>>72.\n#### 72",
}
LONG: dict[str, Any] = {
    "input": "who built the clock?",
    "context": BUILT,
    "answers": ["Ada Thorn"],
    "length": 7,
    "dataset": "hotpotqa",
    "language": "en",
    "all_classes": None,
    "_id": "l1",
}
LONG_V2: dict[str, Any] = {
    "_id": "66f3",
    "domain": "Single-Document QA",
    "sub_domain": "Academic",
    "difficulty": "easy",
    "length": "short",
    "question": "Who built the clock?",
    "choice_A": "Ada Thorn",
    "choice_B": "Bo Lark",
    "choice_C": "nobody",
    "choice_D": "a dairy",
    "answer": "A",
    "context": BUILT,
}
MMLU_ROW: dict[str, Any] = {
    "question": "1 + 1?",
    "subject": "algebra",
    "choices": ["1", "2", "3", "4"],
    "answer": 1,
}
PRM: dict[str, Any] = {
    "labeler": "340d",
    "generation": None,
    "question": {"problem": "What is 2 + 3 * 4?", "ground_truth_answer": "14", "pre_generated_steps": None},
    "label": {
        "steps": [
            {
                "completions": [
                    {"text": "First multiply.", "rating": 1, "flagged": None},
                    {"text": "First add.", "rating": -1, "flagged": False},
                    {"text": "Hm.", "rating": None, "flagged": True},
                ],
                "human_completion": None,
                "chosen_completion": 0,
            },
            {
                "completions": [{"text": "3 * 4 = 13.", "rating": -1, "flagged": None}],
                "human_completion": {"text": "3 * 4 = 12.", "rating": None, "source": "human"},
                "chosen_completion": None,
            },
            {
                "completions": [
                    {"text": "Now the sum.", "rating": 0, "flagged": None},
                    {"text": "2 + 12 = 14.", "rating": 1, "flagged": None},
                ],
                "human_completion": None,
                "chosen_completion": 1,
            },
        ],
        "total_time": 1000,
        "finish_reason": "solution",
    },
}
SHEPHERD: dict[str, Any] = {
    "input": "Ada has 3 clocks and buys 2. How many? Step 1: 3 + 2 = 5. ки\nStep 2: The answer is: 5 ки",
    "label": "Ada has 3 clocks and buys 2. How many? Step 1: 3 + 2 = 5. +\nStep 2: The answer is: 5 +",
    "task": "GSM8K",
}
STEPS: dict[str, Any] = {
    "prompt": "1 + 2 + 3?",
    "completions": ["1 + 2 = 3.", "3 + 3 = 7."],
    "labels": [True, False],
}
SOLVED: dict[str, Any] = {
    "id": "s1",
    "prompt": "1 + 1?",
    "responses": ["2", "3", "11", "two"],
    "correct": [True, False, False, True],
}
EXPORTED: dict[str, Any] = {
    "id": "d1",
    "created_at": 1760000000.0,
    "task": "chat",
    "policy": "linucb",
    "arm": "loglik",
    "metadata": {"source": "article 7"},
    "question": "who built the clock?",
    "documents": DOCUMENTS,
    "candidates": [
        {"text": "Ada", "logprob": -1.5, "tokens": 1},
        {"text": "a boat", "logprob": -2.0, "tokens": 2},
        {"text": "Ada Thorn", "logprob": -2.5, "tokens": 2},
    ],
    "index": 0,
    "scores": {"loglik": [-1.5, -2.0, -2.5]},
    "feedback": [
        {"kind": "thumb", "value": 0.0, "metric": None},
        {"kind": "references", "value": ["Ada Thorn", "Ada"], "metric": "f1", "learned": True},
    ],
    "rewards": [0.5, None, 1.0],
    "reward": 0.5,
}

QUESTION_EXAMPLES: dict[str, tuple[Shape, dict[str, Any]]] = {
    "own question": (QUESTION, OWN),
    "question without documents": (QUESTION, {"question": "who?", "answers": ["Ada Thorn"]}),
    "question with one answer": (QUESTION, {"question": "when?", "answer": "1907", "context": BUILT}),
    "NQ open": (QUESTION, {"question": "who built it", "answer": ["Ada Thorn", "Thorn"]}),
    "MRQA": (
        QUESTION,
        {"qid": "m1", "subset": "X", "question": "who?", "context": BUILT, "answers": ["Ada"]},
    ),
    "SQuAD rows": (SQUAD, SQUAD_ROW),
    "SQuAD document": (SQUAD, SQUAD_DOCUMENT),
    "TriviaQA": (TRIVIA_QA, TRIVIA),
    "HotpotQA": (HOTPOT_QA, HOTPOT),
    "HotpotQA document": (HOTPOT_QA, HOTPOT | {"context": [["Velm", [BUILT]]]}),
    "GSM8K": (GSM8K, GSM8K_ROW),
    "LongBench": (LONG_BENCH, LONG),
    "LongBench v2": (LONG_BENCH_V2, LONG_V2),
    "MMLU": (MMLU, MMLU_ROW),
    "PRM800K": (PRM800K, PRM),
    "Math-Shepherd": (MATH_SHEPHERD, SHEPHERD),
    "TRL stepwise": (STEPWISE, STEPS),
    "right and wrong answers": (JUDGED, SOLVED),
    "laserve export": (REWARDED, EXPORTED),
    "prompt": (PLAIN, {"prompt": "say hello"}),
    "messages": (PLAIN, {"messages": [{"role": "user", "content": "hi"}]}),
    "question": (PLAIN, {"question": "who?", "documents": DOCUMENTS}),
}


def made(values: dict[str, Any], *, file: str = "clocks", position: str = "line 7") -> list[Row] | LeftOut:
    """What the shape of a record makes of it."""
    return shape_of(values).rows(values, Location(file=file, position=position))


def only(values: dict[str, Any], **location: str) -> Row:
    """The one row that the shape of a record makes of it."""
    rows = made(values, **location)
    assert not isinstance(rows, LeftOut)
    (row,) = rows
    return row
