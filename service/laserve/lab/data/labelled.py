"""Reader of preference and correctness sets, in laserve's forms or with the columns of PPE's sets."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from laserve.errors import InvalidRequest
from laserve.lab.data.answers import Answers, chosen_and_rejected, judged, rewarded
from laserve.lab.data.questions import json_lines
from laserve.lab.data.rows import Group, group

#: Verdict on a pair in PPE's human preferences -> quality of the first and of the second response.
_WINNERS = {
    "model_a": [1.0, 0.0],
    "model_b": [0.0, 1.0],
    "tie": [0.5, 0.5],
    "tie (bothbad)": [0.5, 0.5],
}
#: True-or-false columns of PPE, one for each domain; a prompt may belong to several domains.
_DOMAINS = ("hard_prompt", "easy_prompt", "if_prompt", "is_code", "math_prompt")


@dataclass(frozen=True, kw_only=True)
class Row:
    """Answers to one request, with the models that wrote them and their domains."""

    group: Group
    #: Names of the row's domains; there may be none.
    domains: tuple[str, ...] = ()
    #: Name of the model that wrote each answer; empty if the row has no names.
    models: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        return self.group.source


def read_preferences(path: Path) -> list[Row]:
    """Pairs of answers, of quality 1 (preferred) and 0, or both 0.5 for a tie.

    Each row holds a request in a form of `laserve.lab.data.rows.read`, ``chosen`` and ``rejected``, and
    optionally ``chosen_model`` and ``rejected_model``, and ``domain`` (by default the file's name). Or it
    has the columns of PPE-Human-Preference-V1: ``prompt``, ``response_1``, ``response_2``, ``winner``, and
    optionally ``model_a``, ``model_b``, ``question_id`` and the true-or-false columns of its domains.

    Raises:
        InvalidRequest: a row has another form; the message names file and line.
    """
    return _read(
        path,
        _preference,
        "a request with chosen and rejected (and chosen_model, rejected_model, domain), or prompt, "
        "response_1, response_2 and winner",
    )


def read_correctness(path: Path) -> list[Row]:
    """Two answers or more to a request, each of quality 1 (right) or 0 (wrong).

    Each row holds a request in a form of `laserve.lab.data.rows.read`, ``responses``, ``correct``, and
    optionally ``models`` and ``domain`` (by default the file's name). Or it has the columns of PPE's
    best-of-K sets: ``prompt``, ``response_1`` to ``response_K``, ``scores``, and optionally ``model_name``
    and ``question_id``.

    Raises:
        InvalidRequest: a row has another form; the message names file and line.
    """
    return _read(
        path,
        _correctness,
        "a request with responses and correct (and models, domain), or prompt, response_1 .. response_K "
        "and scores",
    )


def _read(path: Path, made: Callable[[Mapping[str, Any], str, str], Row], expected: str) -> list[Row]:
    rows = []
    for number, row in json_lines(path):
        try:
            rows.append(made(row, f"{path.name}:{number}", path.name.split(".", maxsplit=1)[0]))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InvalidRequest(f"{path}:{number}: needs {expected}: {error!r}") from error
    return rows


def _preference(row: Mapping[str, Any], fallback_id: str, file: str) -> Row:
    if (pair := chosen_and_rejected(row)) is not None:
        return Row(
            group=_group(pair, row, fallback_id),
            domains=(_name(row, "domain") or file,),
            models=_both(row, "chosen_model", "rejected_model"),
        )
    if row["winner"] not in _WINNERS:
        raise ValueError(f"winner is one of {', '.join(_WINNERS)}, not {row['winner']!r}")
    responses = [{"text": row["response_1"]}, {"text": row["response_2"]}]
    return Row(
        group=_group(rewarded(responses, _WINNERS[row["winner"]]), row, fallback_id),
        domains=tuple(domain for domain in _DOMAINS if row.get(domain)),
        models=_both(row, "model_a", "model_b"),
    )


def _correctness(row: Mapping[str, Any], fallback_id: str, file: str) -> Row:
    if "responses" in row:
        texts, right = row["responses"], row["correct"]
        models = tuple(row.get("models") or ())
    else:
        right = row["scores"]
        texts = [row[f"response_{index}"] for index in range(1, len(right) + 1)]
        if row.get(more := f"response_{len(right) + 1}") is not None:
            raise ValueError(f"{more} has no score")
        model = _name(row, "model_name")
        models = (model,) * len(texts) if model else ()
    if len(texts) < 2:
        raise ValueError("needs two responses or more")
    if any(value not in (0, 1) for value in right):
        raise ValueError("an answer is right or wrong: true, false, 1 or 0")
    if models and (len(models) != len(texts) or not all(isinstance(model, str) for model in models)):
        raise ValueError(f"models is a name for each of the {len(texts)} responses")
    return Row(
        group=_group(judged(texts, right), row, fallback_id),
        domains=(_name(row, "domain") or file,),
        models=models,
    )


def _group(answers: Answers, row: Mapping[str, Any], fallback_id: str) -> Group:
    """The group of a row, with these answers; other columns with answers are ignored."""
    kept = ("id", "prompt", "messages", "question", "documents", "source", "metadata")
    request = {name: row[name] for name in kept if name in row}
    if "id" not in request and "question_id" in row:
        request["id"] = row["question_id"]
    made = group(request, fallback_id, given=answers)
    if made is None:
        raise ValueError("no answers")
    return made


def _both(row: Mapping[str, Any], first: str, second: str) -> tuple[str, ...]:
    names = _name(row, first), _name(row, second)
    if (names[0] is None) != (names[1] is None):
        raise ValueError(f"{first} and {second} come together")
    return () if names[0] is None or names[1] is None else (names[0], names[1])


def _name(row: Mapping[str, Any], key: str) -> str | None:
    value = row.get(key)
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{key} is a name, not {type(value).__name__}")
    return value or None
