"""Records of the shapes of preferences: label -> shape and record."""

import json
from typing import Any

from data_questions import made
from laserve.lab.data.row import Row
from laserve.lab.data.shapes.base import BadRecord, LeftOut, Shape
from laserve.lab.data.shapes.preferences import (
    arena,
    helpsteer,
    instructions,
    kto,
    pairs,
    ppe,
    published,
    reward_bench,
    ultrafeedback,
)

ASK = "Who built the clock?"
GOOD, BAD = "Ada Thorn built it.", "A fisherman."
USER: dict[str, Any] = {"role": "user", "content": ASK}
CHOSEN: dict[str, Any] = {"role": "assistant", "content": GOOD}
REJECTED: dict[str, Any] = {"role": "assistant", "content": BAD}
#: A conversation before its last turn.
BEFORE: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hello."},
    {"role": "assistant", "content": "Good day."},
    USER,
]

OWN: dict[str, Any] = {"prompt": ASK, "chosen": GOOD, "rejected": BAD}
HH: dict[str, Any] = {
    "chosen": f"\n\nHuman: Hello.\n\nAssistant: Good day.\n\nHuman: {ASK}\n\nAssistant: {GOOD}",
    "rejected": f"\n\nHuman: Hello.\n\nAssistant: Good day.\n\nHuman: {ASK}\n\nAssistant: {BAD}",
}
TRL: dict[str, Any] = {"chosen": [USER, CHOSEN], "rejected": [USER, REJECTED]}
OPENAI: dict[str, Any] = {
    "input": {"messages": [USER], "tools": [], "parallel_tool_calls": True},
    "preferred_output": [CHOSEN],
    "non_preferred_output": [REJECTED],
}


def completion(text: str, fine: float | None, overall: float, model: str) -> dict[str, Any]:
    """A completion of UltraFeedback; its ratings are texts in the set."""
    rating = {"Rating": "5", "Rationale": "It is true."}
    return {
        "annotations": {"helpfulness": rating | {"Type": ["1"]}, "honesty": rating},
        "custom_system_prompt": "Be honest.",
        "model": model,
        "principle": "honesty",
        "response": text,
        "critique": "It is short.",
        "overall_score": overall,
        "fine-grained_score": fine,
    }


ULTRAFEEDBACK: dict[str, Any] = {
    "source": "evol_instruct",
    "instruction": ASK,
    "models": ["alpaca-7b", "gpt-4", "pythia-12b"],
    "completions": [
        completion(BAD, 1.0, 10.0, "alpaca-7b"),
        completion(GOOD, 5.0, 8.5, "gpt-4"),
        completion("Thorn.", 4.0, 7.0, "pythia-12b"),
    ],
    "correct_answers": ["None"],
    "incorrect_answers": ["None"],
}
BINARIZED: dict[str, Any] = {
    "prompt": ASK,
    "prompt_id": "3a1f",
    **TRL,
    "messages": [USER, CHOSEN],
    "score_chosen": 8.5,
    "score_rejected": 3.0,
}
ARGILLA: dict[str, Any] = {
    "source": "flan_v2_cot",
    "prompt": ASK,
    **TRL,
    "chosen-rating": 4.75,
    "chosen-model": "gpt-4",
    "rejected-rating": 2.5,
    "rejected-model": "alpaca-7b",
}
ARGILLA_FIRST: dict[str, Any] = {
    "source": "flan_v2_cot",
    "instruction": ASK,
    "chosen_response": GOOD,
    "rejected_response": BAD,
    "chosen_avg_rating": 4.75,
    "rejected_avg_rating": 2.5,
    "chosen_model": "gpt-4",
}
HELPSTEER: dict[str, Any] = {
    "prompt": ASK,
    "response": GOOD,
    "helpfulness": 3,
    "correctness": 4,
    "coherence": 4,
    "complexity": 2,
    "verbosity": 1,
}
HELPSTEER_COMPARED: dict[str, Any] = {
    "split": "train",
    "prompt": ASK,
    "response_1": BAD,
    "response_2": GOOD,
    "preference_strength": 2,
    "preference_statement": "Response 2 is better than Response 1",
    "preference_elaboration": "It is true.",
    "three_most_similar_preferences": [{"statement": "Response 2 is better", "elaboration": "."}],
    "all_preferences_unprocessed": [{"strength": 2, "justification": "."}],
}
HELPSTEER_THIRD: dict[str, Any] = {
    "domain": "general",
    "language": "english",
    "context": [USER],
    "response1": GOOD,
    "response2": BAD,
    "overall_preference": -3,
    "individual_preference": [{"score": -3, "reasoning": "It is true.", "feedback1": ".", "feedback2": "."}],
}
KTO: dict[str, Any] = {"prompt": ASK, "completion": GOOD, "label": True}


def parts(text: str) -> list[dict[str, Any]]:
    """A content in parts, with the null columns of parquet."""
    return [{"type": "text", "text": text, "image": None, "mimeType": None}]


ARENA: dict[str, Any] = {
    "id": "c4aa",
    "model_a": "small",
    "model_b": "large",
    "winner": "model_b",
    "evaluation_session_id": "s1",
    "evaluation_order": 1,
    "conversation_a": [
        {"role": "user", "content": parts(ASK), "num_tokens": None},
        {"role": "assistant", "content": parts(BAD), "num_tokens": 3},
    ],
    "conversation_b": [
        {"role": "user", "content": parts(ASK), "num_tokens": None},
        {"role": "assistant", "content": parts(GOOD), "num_tokens": 5},
    ],
    "full_conversation": [
        {
            "user": {"role": "user", "content": parts(ASK)},
            "model_side_a": {"role": "assistant", "content": parts(BAD)},
            "model_side_b": {"role": "assistant", "content": parts(GOOD)},
        }
    ],
    "conv_metadata": {"turns": 1},
    "category_tag": {
        "creative_writing_v0.1": {"creative_writing": False, "score": "no"},
        "criteria_v0.1": dict.fromkeys(arena.CRITERIA, True) | {"creativity": False},
        "instruction_following_v0.1": {"if": False, "score": 1},
        "math_v0.1": {"math": True},
    },
    "language": "en",
    "is_code": True,
    "timestamp": "2025-05-01T00:00:00",
}
ARENA_33K: dict[str, Any] = {
    "question_id": "58210e",
    "model_a": "small",
    "model_b": "large",
    "winner": "tie (bothbad)",
    "judge": "arena_user_973",
    "conversation_a": [{"content": ASK, "role": "user"}, {"content": BAD, "role": "assistant"}],
    "conversation_b": [{"content": ASK, "role": "user"}, {"content": GOOD, "role": "assistant"}],
    "turn": 1,
    "anony": True,
    "language": "German",
    "tstamp": 1682351591.1,
    "openai_moderation": {"flagged": False},
    "toxic_chat_tag": {"t5-large": {"flagged": False, "score": 0.0}},
}
ARENA_55K: dict[str, Any] = {
    "id": 30192,
    "model_a": "small",
    "model_b": "large",
    "prompt": json.dumps([ASK]),
    "response_a": json.dumps([GOOD]),
    "response_b": json.dumps([BAD]),
    "winner_model_a": 1,
    "winner_model_b": 0,
    "winner_tie": 0,
}
REWARD_BENCH: dict[str, Any] = {
    "prompt": ASK,
    "chosen": GOOD,
    "chosen_model": "large",
    "rejected": BAD,
    "rejected_model": "small",
    "subset": "alpacaeval-easy",
    "id": 30,
}
REWARD_BENCH_2: dict[str, Any] = {
    "id": "ref:4",
    "prompt": ASK,
    "chosen": [GOOD, "Thorn."],
    "rejected": [BAD, "Nobody."],
    "num_correct": 2,
    "num_incorrect": 2,
    "total_completions": 4,
    "models": ["large", "small"],
    "subset": "Ties",
    "additional_metadata": {"category": None, "method": None},
}
PPE: dict[str, Any] = {
    "question_id": "q1",
    "prompt": ASK,
    "response_1": BAD,
    "response_2": GOOD,
    "model_a": "small",
    "model_b": "large",
    "winner": "model_b",
    "language": "English",
    "hard_prompt": True,
    "easy_prompt": False,
    "if_prompt": False,
    "is_code": True,
    "math_prompt": False,
    "conv_metadata": {"turns": 1},
    "category_tag": {"math_v0.1": {"math": True}},
}
BEST_OF: dict[str, Any] = {
    "question_id": "q1",
    "question": ASK,
    "options": ["a", "b"],
    "answer": "B",
    "answer_index": 1,
    "category": "clocks",
    "model_name": "small",
    "parsed_outputs": ["B", "A", None],
    "scores": [True, False, False],
    "mean_score": 1 / 3,
    "prompt": ASK,
    "response_1": GOOD,
    "response_2": BAD,
    "response_3": "Nobody.",
    "conflict_pairs": [[0, 1]],
    "sampled_conflict_pairs": [[0, 1]],
}
WEB_GPT: dict[str, Any] = {
    "question": {"dataset": "eli5", "id": "2k1", "full_text": ASK},
    "quotes_0": {"title": ["Velm"], "extract": ["Ada Thorn built it."]},
    "answer_0": GOOD,
    "tokens_0": {"prefix": [1], "completion": [2]},
    "score_0": 0.75,
    "quotes_1": {"title": [], "extract": []},
    "answer_1": BAD,
    "tokens_1": {"prefix": [1], "completion": [3]},
    "score_1": -0.75,
}
SHP: dict[str, Any] = {
    "post_id": "qt3nxl",
    "domain": "askculinary_train",
    "upvote_ratio": 0.98,
    "history": ASK,
    "c_root_id_A": "a",
    "c_root_id_B": "b",
    "score_A": 340,
    "score_B": 166,
    "human_ref_A": GOOD,
    "human_ref_B": BAD,
    "labels": 1,
    "score_ratio": 2.05,
}
SAFE: dict[str, Any] = {
    "prompt": ASK,
    "response_0": BAD,
    "response_1": GOOD,
    "is_response_0_safe": True,
    "is_response_1_safe": True,
    "better_response_id": 1,
    "safer_response_id": 0,
}
NECTAR: dict[str, Any] = {
    "prompt": f"\n\nHuman: {ASK}\n\nAssistant: ",
    "answers": [
        {"answer": GOOD, "model": "gpt-4", "rank": 1.0},
        {"answer": "Thorn.", "model": "llama", "rank": 2.0},
        {"answer": BAD, "model": "anthropic", "rank": 3.0},
    ],
    "turns": 1,
    "num_responses": 3,
    "source": ["lmsys-chat-1m"],
    "good_natured": True,
}
ORCA: dict[str, Any] = {"system": "Be brief.", "question": ASK, "chosen": GOOD, "rejected": BAD}

PAIR_EXAMPLES: dict[str, tuple[Shape, dict[str, Any]]] = {
    "own pair": (pairs.OWN, OWN),
    "own pair of messages": (pairs.OWN, {"messages": BEFORE, "chosen": GOOD, "rejected": BAD}),
    "own pair of a question": (
        pairs.OWN,
        {"question": ASK, "documents": [], "chosen": GOOD, "rejected": BAD},
    ),
    "own pair of a transcript": (pairs.OWN, OWN | {"prompt": f"\n\nHuman: {ASK}\n\nAssistant:"}),
    "HH-RLHF": (pairs.TRANSCRIPTS, HH),
    "TRL implicit prompt": (pairs.MESSAGES, TRL),
    "TRL explicit prompt": (pairs.MESSAGES, {"prompt": [USER], "chosen": [CHOSEN], "rejected": [REJECTED]}),
    "TRL text prompt": (pairs.MESSAGES, {"prompt": ASK, **TRL}),
    "TRL standard": (pairs.OWN, {"prompt": "The sky is", "chosen": " blue.", "rejected": " green."}),
    "Skywork": (pairs.SOURCED, TRL | {"source": "magpie_ultra"}),
    "OpenAI": (pairs.OPENAI, OPENAI),
    "UltraFeedback": (ultrafeedback.RATED, ULTRAFEEDBACK),
    "UltraFeedback binarized": (ultrafeedback.BINARIZED, BINARIZED),
    "UltraFeedback by Argilla": (ultrafeedback.ARGILLA, ARGILLA),
    "UltraFeedback by Argilla, first edition": (ultrafeedback.ARGILLA, ARGILLA_FIRST),
    "HelpSteer 2": (helpsteer.RATED, HELPSTEER),
    "HelpSteer 2 preferences": (helpsteer.COMPARED, HELPSTEER_COMPARED),
    "HelpSteer 3": (helpsteer.THIRD, HELPSTEER_THIRD),
    "KTO": (kto.KTO, KTO),
    "KTO messages": (kto.KTO, {"prompt": [USER], "completion": [CHOSEN], "label": False}),
    "Arena 140k": (arena.CONVERSATIONS, ARENA),
    "Arena 33k": (arena.CONVERSATIONS, ARENA_33K),
    "Arena 55k": (arena.LISTS, ARENA_55K),
    "RewardBench": (reward_bench.FIRST, REWARD_BENCH),
    "RewardBench 2": (reward_bench.SECOND, REWARD_BENCH_2),
    "PPE human preferences": (ppe.PREFERENCE, PPE),
    "PPE best of K": (ppe.BEST_OF, BEST_OF),
    "WebGPT": (published.WEB_GPT, WEB_GPT),
    "SHP": (published.SHP, SHP),
    "PKU-SafeRLHF": (published.SAFE, SAFE),
    "Nectar": (published.RANKED, NECTAR),
    "Orca": (instructions.INSTRUCTION, ORCA),
    "Alpaca pair": (
        instructions.INSTRUCTION,
        {"instruction": ASK, "input": "", "chosen": GOOD, "rejected": BAD},
    ),
    "ShareGPT pair": (
        pairs.MESSAGES,
        {
            "conversations": [{"from": "human", "value": ASK}],
            "chosen": {"from": "gpt", "value": GOOD},
            "rejected": {"from": "gpt", "value": BAD},
        },
    ),
}


def turns(row: Row) -> list[tuple[str, str]]:
    """Role and content of each message of a row's request."""
    return [(message.role, message.content) for message in row.request.messages]


def refusal(values: dict[str, Any]) -> str:
    """Why a record is bad or left out."""
    try:
        rows = made(values)
    except BadRecord as error:
        return str(error)
    assert isinstance(rows, LeftOut), "the record is read"
    return rows.reason
