"""Pairs of a chosen and a rejected answer: laserve's own, transcripts, message lists, and OpenAI's files."""

from laserve.lab.data.row import Row
from laserve.lab.data.shapes.base import BadRecord, Location, Shape, Values
from laserve.lab.data.shapes.columns import name, required, text
from laserve.lab.data.shapes.conversations import Turns, common, messages_in, transcript, turns_of
from laserve.lab.data.shapes.preferences.answers import (
    BOTH,
    REQUEST,
    compared,
    has,
    pair,
    turns_in,
    two_names,
    with_system,
)
from laserve.lab.data.shapes.requests import make_request, nested, request_of, source_of
from laserve.types import Message


def read_own(values: Values, location: Location) -> Row:
    """The row of a pair in laserve's own form.

    The columns are a request, ``chosen`` and ``rejected``, each a text or the message of an answer, or a
    transcript of the request and an answer; and
    optionally ``chosen_model`` and ``rejected_model``, ``domain`` (by default the file's name), ``task``,
    ``id``, and ``source``, also in ``metadata``. One of the answers at the end of the messages is left out.

    Raises:
        BadRecord: a column has another form.
        Unusable: the answers are equal, or a message of the request cannot be held.
    """
    answers = tuple(_answer(values, column) for column in BOTH)
    if not has(values, "question") and not values.get("messages") and not has(values, "prompt"):
        raise BadRecord("prompt", "is missing: a pair of texts needs a prompt, messages or a question")
    request = request_of(values)
    conversations = {column: transcript(answer) for column, answer in zip(BOTH, answers, strict=True)}
    if all(_repeats(turns, turns_in(request)) for turns in conversations.values()):
        turns, answers = common(conversations)
        request = make_request(messages=turns)
    if request.messages[-1:] in [(Message(role="assistant", content=answer),) for answer in answers]:
        request = make_request(messages=request.messages[:-1])
    request = with_system(values, request)
    return pair(
        values,
        location,
        request=request,
        texts=answers,
        models=two_names(values, "chosen_model", "rejected_model"),
        domains=(name(values, "domain") or location.file,),
        source=source_of(values, request),
    )


def _repeats(turns: Turns, request: Turns) -> bool:
    """Whether a transcript starts with the turns of a request, and goes on with an answer."""
    return len(turns) > len(request) and turns[: len(request)] == request


def _answer(values: Values, column: str) -> str:
    """The text of an answer, or of its only message."""
    if messages_in(values.get(column)) is None:
        return text(values, column)
    turns = turns_of(values, column)
    if len(turns) > 1:
        raise BadRecord(column, f"must be one message beside question or messages, holds {len(turns)}")
    return turns[0].content


def read_transcripts(values: Values, location: Location) -> Row:
    """The row of two transcripts of a human and an assistant, such as those of Anthropic's HH-RLHF.

    The turns before the last are the request; they must be the same in both.

    Raises:
        BadRecord: a column is no transcript.
        Unusable: the answers are equal, or the conversations differ before, or do not end with an answer.
    """
    turns, answers = common({column: _transcript(values, column) for column in BOTH})
    return pair(values, location, request=make_request(messages=turns), texts=answers)


def _transcript(values: Values, column: str) -> Turns:
    turns = transcript(text(values, column))
    if not turns:
        raise BadRecord(column, "must be a transcript, of turns that start with Human: or Assistant:")
    return turns


def _are_transcripts(values: Values) -> bool:
    answers = [values.get(column) for column in BOTH]
    return not any(has(values, column) for column in REQUEST) and any(
        isinstance(answer, str) and transcript(answer) for answer in answers
    )


def read_messages(values: Values, location: Location) -> Row:
    """The row of two conversations, as Hugging Face's TRL reads them, or of two answers to ``prompt``.

    The prompt may also be the column ``conversations``.

    Raises:
        BadRecord, Unusable: as `compared`; or the answers are equal.
    """
    prompt = values.get("prompt") or values.get("conversations")
    request, answers = compared({**values, "prompt": prompt}, BOTH)
    return pair(
        values,
        location,
        request=request,
        texts=answers,
        models=two_names(values, "chosen_model", "rejected_model"),
    )


def read_sourced(values: Values, location: Location) -> Row:
    """The row of two conversations whose ``source`` is a data set, as in Skywork-Reward-Preference.

    The data set is the row's domain. Raises as `read_messages`.
    """
    request, answers = compared(values, BOTH)
    return pair(values, location, request=request, texts=answers, domains=(text(values, "source"),))


def read_openai(values: Values, location: Location) -> Row:
    """The row of OpenAI's files for preference fine-tuning.

    The columns are ``input``, an object with ``messages``, and ``preferred_output`` and
    ``non_preferred_output``, each a list of one message.

    Raises:
        BadRecord: a column has another form.
        Unusable: a tool is called, or the answers are equal.
    """
    turns = turns_of(nested(required(values, "input"), "input"), "input.messages")
    columns = ("preferred_output", "non_preferred_output")
    request, answers = common({column: (*turns, *turns_of(values, column)) for column in columns})
    return pair(values, location, request=make_request(messages=request), texts=answers)


def _are_messages(values: Values) -> bool:
    """Whether the answers are messages, and more than one each if the request is in a column beside them."""
    listed = [messages_in(values.get(column)) or [] for column in BOTH]
    beside = has(values, "question") or bool(values.get("messages"))
    return any(len(messages) > beside for messages in listed)


OWN = Shape(
    name="pairs in laserve's form",
    expected="a request (question and documents, messages, or prompt), chosen and rejected",
    matches=lambda values: "chosen" in values or "rejected" in values,
    read=read_own,
)
TRANSCRIPTS = Shape(
    name="HH-RLHF",
    expected="chosen and rejected, transcripts of turns that start with Human: or Assistant:",
    matches=_are_transcripts,
    read=read_transcripts,
)
MESSAGES = Shape(
    name="TRL conversational pairs",
    expected="chosen and rejected, lists of messages, and optionally prompt",
    matches=_are_messages,
    read=read_messages,
)
SOURCED = Shape(
    name="Skywork-Reward-Preference",
    expected="chosen and rejected, lists of messages, and source, the name of a data set",
    matches=lambda values: _are_messages(values) and isinstance(values.get("source"), str),
    read=read_sourced,
)
OPENAI = Shape(
    name="OpenAI preference fine-tuning",
    expected="input {messages}, preferred_output and non_preferred_output",
    matches=lambda values: values.keys() >= {"input", "preferred_output"},
    read=read_openai,
)
