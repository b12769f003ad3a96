"""Readers of conversations: lists of messages, and transcripts of a human and an assistant."""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from laserve.lab.data.shapes.base import BadRecord, Unusable, Values
from laserve.lab.data.shapes.columns import decoded, kind, required
from laserve.types import Message

Turns = tuple[Message, ...]

#: Role in a file -> role of a message; the others are refused.
ROLES: Mapping[str, str] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
}
#: Roles of messages that laserve's requests cannot hold.
_OF_TOOLS = ("tool", "function", "ipython", "observation", "function_call")
#: Types of parts that are texts.
_TEXTS = ("text", "input_text", "output_text")

DIFFER = "the conversations differ before the last answer"
NO_ANSWER = "the conversation does not end with an answer"
TOOLS = "a message is a tool's or calls a tool"
PARTS = "a message holds other parts than texts, such as images"

#: Start of a turn, in the two styles of transcripts: after a blank line, and at the start of any line.
_MARKERS = (
    re.compile(r"\n[ \t\r]*\n[ \t]*(Human|Assistant):"),
    re.compile(r"\n[ \t]*(Human|Assistant):"),
)
_SPEAKERS = {"Human": "user", "Assistant": "assistant"}


def messages_in(value: object) -> list[Any] | None:
    """The messages that a value is, one or a list of them, also as a JSON text; None for other values.

    A JSON text is a message only if it has a known role, since it may be an answer in JSON.
    """
    inside = decoded(value)
    listed = [inside] if isinstance(inside, dict) else inside
    if not isinstance(listed, list) or not listed or not isinstance(listed[0], dict):
        return None
    role = listed[0].get("role", listed[0].get("from"))
    return listed if inside is value or (isinstance(role, str) and role in ROLES) else None


def turns_of(values: Values, column: str) -> Turns:
    """Turns of a column that holds messages, at least one.

    A message is ``{role, content}`` or ``{from, value}``; its content is a text or a list of parts
    ``{type: text, text}``, which are joined by line breaks.

    Raises:
        BadRecord: the column or a message has another form, or a role is unknown.
        Unusable: a message belongs to a tool, or has parts that are not texts.
    """
    value = required(values, column)
    listed = messages_in(value)
    if listed is None:
        expected = "must be a list of messages, each with role and content"
        raise BadRecord(column, "is an empty list" if value == [] else f"{expected}, is {kind(value)}")
    return tuple(_message(one, f"{column}[{index}]") for index, one in enumerate(listed))


def _message(value: object, path: str) -> Message:
    if not isinstance(value, Mapping):
        raise BadRecord(path, f"must be a message with role and content, is {kind(value)}")
    role_field, content_field = ("from", "value") if "from" in value else ("role", "content")
    role, content = value.get(role_field), value.get(content_field)
    if role in _OF_TOOLS or value.get("tool_calls") or value.get("function_call"):
        raise Unusable(TOOLS)
    if not isinstance(role, str) or role not in ROLES:
        given = repr(role[:40]) if isinstance(role, str) else kind(role)
        raise BadRecord(f"{path}.{role_field}", f"must be system, user or assistant, is {given}")
    return Message(role=ROLES[role], content=_content(content, f"{path}.{content_field}"))


def _content(value: object, path: str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        value = [value]
    if not isinstance(value, Sequence) or not value:
        given = "an empty list" if value == [] else kind(value)
        raise BadRecord(path, f"must be a text or a list of parts of type text, is {given}")
    return "\n".join(_part(part, f"{path}[{index}]") for index, part in enumerate(value))


def _part(value: object, path: str) -> str:
    if not isinstance(value, Mapping):
        raise BadRecord(path, f"must be a part with type and text, is {kind(value)}")
    if (value.get("type") or "text") not in _TEXTS or value.get("image"):
        raise Unusable(PARTS)
    if not isinstance(text := value.get("text"), str):
        raise BadRecord(f"{path}.text", f"must be a text, is {kind(text)}")
    return text


def transcript(text: str) -> Turns:
    """Turns of a transcript such as ``Human: .. Assistant: ..``; empty for a text that is none.

    Each turn starts after a blank line or, in a transcript without blank lines, on a line of its own. What
    precedes the first turn is a system message. White space around turns is dropped.
    """
    text = f"\n\n{text.strip()}"
    for marker in _MARKERS:
        preamble, *parts = marker.split(text)
        if {*parts[::2]} == {*_SPEAKERS}:
            break
    else:
        preamble, *parts = _MARKERS[0].split(text)
        if preamble.strip():
            return ()
    turns = [
        Message(role=_SPEAKERS[speaker], content=content.strip())
        for speaker, content in zip(parts[::2], parts[1::2], strict=True)
    ]
    return (*([Message(role="system", content=preamble.strip())] if preamble.strip() else []), *turns)


def transcript_prompt(prompt: str) -> Turns:
    """Turns of a prompt that is a transcript; empty for a prompt that is none.

    A transcript starts with the human, or has an empty turn of the assistant at its end, which is the turn of
    the answer and dropped.
    """
    turns = transcript(prompt)
    if not turns or not any(turn.role == "user" for turn in turns):
        return ()
    is_open = turns[-1] == Message(role="assistant", content="")
    return turns[:-1] if is_open else turns if turns[0].role == "user" else ()


def request_turns(turns: Turns, column: str) -> Turns:
    """The turns of a request, of which one must be a user's. Raises BadRecord."""
    if not any(turn.role == "user" for turn in turns):
        raise BadRecord(column, "holds no user's message before the answer")
    return turns


def answered(turns: Turns, column: str) -> tuple[Turns, str]:
    """The request and the answer of a conversation.

    Raises:
        BadRecord: no user's message precedes the answer.
        Unusable: the last message is not the assistant's.
    """
    *before, last = turns
    if last.role != "assistant":
        raise Unusable(NO_ANSWER)
    return request_turns(tuple(before), column), last.content


def common(conversations: Mapping[str, Turns]) -> tuple[Turns, tuple[str, ...]]:
    """The request that conversations share, and their answers.

    Args:
        conversations: column -> conversation, at least one.

    Raises:
        BadRecord, Unusable: as `answered`; or the conversations differ before their last turn.
    """
    pairs = [answered(turns, column) for column, turns in conversations.items()]
    if any(first != second for (first, _), (second, _) in pairwise(pairs)):
        raise Unusable(DIFFER)
    return pairs[0][0], tuple(answer for _, answer in pairs)
