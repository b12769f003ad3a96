"""Readers of what most shapes share: requests, documents, messages, ids and sources."""

import hashlib
from collections.abc import Sequence
from typing import Any

from laserve.lab.data.row import BARE, TIMEOUT_S, Row
from laserve.lab.data.shapes.base import BadRecord, Location, Values
from laserve.lab.data.shapes.columns import decoded, kind, name, required, text
from laserve.lab.data.shapes.conversations import messages_in, request_turns, transcript_prompt, turns_of
from laserve.types import Document, Message, Request

#: Columns of ids, in the order in which they are tried.
IDS = ("id", "_id", "qid", "question_id")


def make_request(
    *,
    prompt: str | None = None,
    messages: Sequence[Message] = (),
    question: str | None = None,
    documents: Sequence[Document] = (),
) -> Request:
    """A request with the placeholders of `laserve.lab.data.row`."""
    return Request(
        prompt=prompt,
        messages=tuple(messages),
        question=question,
        documents=tuple(documents),
        sampling=BARE,
        timeout_s=TIMEOUT_S,
    )


def request_of(values: Values) -> Request:
    """The request of a record: its question and documents, its messages, or its prompt.

    Raises:
        BadRecord: there is none of the three, or it has another form, or is empty, or has no user's message.
        Unusable: a message belongs to a tool, or has parts that are not texts.
    """
    if values.get("question") is not None:
        question = text(values, "question")
        if not question.strip():
            raise BadRecord("question", "is empty")
        return make_request(question=question, documents=documents_of(values))
    if decoded(values.get("messages")):
        return make_request(messages=request_turns(turns_of(values, "messages"), "messages"))
    if values.get("prompt") is None:
        raise BadRecord("", "has no request: question, messages or prompt")
    if messages_in(values["prompt"]):
        return make_request(messages=request_turns(turns_of(values, "prompt"), "prompt"))
    return prompt_request(text(values, "prompt"))


def columns_of_request(values: Values) -> tuple[str, ...]:
    """Columns of which `request_of` makes the request of a record that has one."""
    if values.get("question") is not None:
        return "question", "documents" if decoded(values.get("documents")) else "context"
    return ("messages",) if decoded(values.get("messages")) else ("prompt",)


def prompt_request(prompt: str) -> Request:
    """The request of a prompt: its turns if it is a transcript, else the text. Raises BadRecord if empty."""
    if not prompt.strip():
        raise BadRecord("prompt", "is empty")
    turns = transcript_prompt(prompt)
    return make_request(messages=turns) if turns else make_request(prompt=prompt)


def documents_of(values: Values) -> tuple[Document, ...]:
    """The column ``documents``, a list of ``{title, text}`` or of texts, or else the text ``context``.

    Raises:
        BadRecord: a document has another form.
    """
    if decoded(values.get("documents")):
        return tuple(_document(one, path) for path, one in items(values, "documents"))
    context = name(values, "context")
    return (Document(text=context),) if context else ()


def _document(value: object, path: str) -> Document:
    if isinstance(value, str):
        return Document(text=value)
    if not isinstance(value, dict):
        raise BadRecord(path, f"must be a text or {{title, text}}, is {kind(value)}")
    inner = nested(value, path)
    return Document(title=name(inner, f"{path}.title") or "", text=text(inner, f"{path}.text"))


def items(values: Values, column: str) -> list[tuple[str, Any]]:
    """Entries of a list, or of a JSON text of one, with their paths: ``column[2]``. Raises BadRecord."""
    value = decoded(required(values, column))
    if not isinstance(value, list | tuple):
        raise BadRecord(column, f"must be a list, is {kind(value)}")
    return [(f"{column}[{index}]", one) for index, one in enumerate(value)]


def nested(value: object, path: str) -> Values:
    """Fields of an object, or of a JSON text of one, by their paths: ``path.field``. Raises BadRecord."""
    value = decoded(value)
    if not isinstance(value, dict):
        raise BadRecord(path, f"must be an object, is {kind(value)}")
    return {f"{path}.{field}": inner for field, inner in value.items()}


def objects(values: Values, column: str) -> list[tuple[str, Values]]:
    """Fields of the objects in a list, as `nested` gives them, with the objects' paths. Raises BadRecord."""
    return [(path, nested(one, path)) for path, one in items(values, column)]


def make_row(
    values: Values,
    location: Location,
    *,
    request: Request,
    source: str | None = None,
    task: str | None = None,
    metric: str = "f1",
    **others: Any,
) -> Row:
    """A row with the id of its record.

    Args:
        source: by default that of the record.
        task: by default that of the record.
        others: other fields of the row.

    Raises:
        BadRecord: the record's id, source or task has another form.
    """
    return Row(
        id=id_of(values, location),
        file=location.file,
        position=location.position,
        request=request,
        source=source or source_of(values, request),
        task=task or name(values, "task"),
        metric=metric,
        **others,
    )


def id_of(values: Values, location: Location) -> str:
    """Id of a record, a text or a whole number; its position where it has none. Raises BadRecord."""
    for column in IDS:
        value = values.get(column)
        if isinstance(value, float) and value.is_integer():  # a column with nulls, as pandas saves it
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, str | int | None):
            raise BadRecord(column, f"must be a text or a whole number, is {kind(value)}")
        if value is not None and value != "":
            return str(value)
    return location.id


def source_of(values: Values, request: Request) -> str:
    """Source of a record: its own, or that of its metadata, or its documents, or its query.

    Documents are a digest, equal for records with equal documents. Raises BadRecord.
    """
    metadata = nested(values.get("metadata") or {}, "metadata")
    given = name(values, "source") or name(metadata, "metadata.source")
    return given or (digest(request.documents) if request.documents else request.query)


def digest(documents: Sequence[Document]) -> str:
    """Short name of documents, equal for equal texts."""
    return hashlib.sha256(
        "\n".join(document.text for document in documents).encode(errors="surrogatepass")
    ).hexdigest()[:16]
