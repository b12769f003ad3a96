"""The rendering of a request as token ids: the question-answering prompt, and documents cut to fit.

A small model gives short answers only after examples of them. So solved examples, about people and places
that do not exist, precede the question, and a line break ends the answer.
"""

import asyncio
from dataclasses import dataclass, replace

from laserve.errors import InvalidRequest
from laserve.generation.base import Rendered, Tokenizer
from laserve.models.tokenizer import shares
from laserve.types import Document, Request

#: Default texts that end an answer to a question.
STOP = ("\n",)


@dataclass(frozen=True, kw_only=True)
class Example:
    """A solved question."""

    documents: tuple[Document, ...]
    question: str
    answer: str


EXAMPLES = (
    Example(
        documents=(
            Document(
                title="Harbour clock of Velm",
                text="The harbour clock of Velm is a tower clock on the old quay of Velm. It was built by "
                "the watchmaker Ada Thorn in 1874 and strikes every quarter of an hour. It is wound by hand "
                "on Mondays.",
            ),
            Document(
                title="Velm market",
                text="The market of Velm is held on the old quay every Saturday. Fish is sold from six in "
                "the morning, and bread from eight.",
            ),
        ),
        question="who built the harbour clock of velm",
        answer="Ada Thorn",
    ),
    Example(
        documents=(
            Document(
                title="Orrin",
                text="Orrin is a mountain village of 310 people. Most of them raise sheep, and a small dairy "
                "makes cheese.",
            ),
            Document(
                title="Orrin Pass",
                text="The Orrin Pass joins the valleys of Sell and Tarn. Snow closes the pass from November "
                "until late April. The road over it was paved in 1956.",
            ),
        ),
        question="when was the road over the orrin pass paved",
        answer="1956",
    ),
    Example(
        documents=(
            Document(
                title="Glass frog survey",
                text="The survey of 1991 counted glass frogs along three streams. The largest group, 42 "
                "animals, lived beside the Tolla, on the eastern slope of Mount Rhun.",
            ),
            Document(title="Tolla", text="The Tolla is a short mountain stream that feeds the lake of Rhun."),
        ),
        question="where did the largest group of glass frogs live",
        answer="beside the Tolla",
    ),
    Example(
        documents=(
            Document(
                title="Merrow Players",
                text="The Merrow Players are an amateur theatre company. Their first play, The Salt Road, "
                "opened in May 1932.",
            ),
            Document(
                title="Salt tax",
                text="The salt tax of Merrow was abolished after a revolt of the fishermen.",
            ),
        ),
        question="what was the first play of the merrow players",
        answer="The Salt Road",
    ),
)


async def render(request: Request, tokenizer: Tokenizer, max_model_len: int) -> Rendered:
    """Turn a request into token ids that leave room for ``max_tokens``.

    A raw prompt is read as in vLLM's completions API, messages through the model's chat template, and a
    question with documents through the prompt of this module, where documents lose tokens to fit.

    Raises:
        InvalidRequest: the request does not fit, and has no documents that could lose tokens.
    """
    room = max_model_len - request.sampling.max_tokens
    if room < 1:
        raise InvalidRequest(
            f"max_tokens: {request.sampling.max_tokens} leaves no room for a prompt; the model takes "
            f"{max_model_len} tokens in all",
            param="max_tokens",
        )
    if request.question is not None:
        return await _render_question(request, tokenizer, room)
    if request.messages:
        field = "messages"
        turns = [{"role": message.role, "content": message.content} for message in request.messages]
        ids = await tokenizer.encode_chat(turns)
    else:
        field = "prompt"
        ids = await tokenizer.encode_prompt(request.prompt or "")
    _check_room(field, len(ids), room, request)
    if not ids:
        raise InvalidRequest(f"{field}: contains no tokens", param=field)
    return Rendered(token_ids=tuple(ids), sampling=request.sampling)


async def _render_question(request: Request, tokenizer: Tokenizer, room: int) -> Rendered:
    heads = [_head(number, document) for number, document in enumerate(request.documents, start=1)]
    parts = [SOLVED, "\n", _tail(request.question or ""), *heads]
    parts += [document.text for document in request.documents]
    encoded = await asyncio.gather(*(tokenizer.encode(part, literal=True) for part in parts))
    examples, line_break, tail = encoded[:3]
    titles, texts = encoded[3 : 3 + len(heads)], encoded[3 + len(heads) :]

    fixed = len(examples) + len(tail) + sum(len(title) + len(line_break) for title in titles)
    _check_room("question", fixed, room, request)
    kept = shares([len(text) for text in texts], room - fixed)
    ids = list(examples)
    for title, text, length in zip(titles, texts, kept, strict=True):
        ids += [*title, *text[:length], *line_break]
    ids += tail
    return Rendered(
        token_ids=tuple(ids),
        sampling=replace(request.sampling, stop=request.sampling.stop or STOP),
        truncated=sum(kept) < sum(len(text) for text in texts),
        strip=True,
    )


def _check_room(field: str, tokens: int, room: int, request: Request) -> None:
    if tokens > room:
        raise InvalidRequest(
            f"{field}: {tokens} tokens; with max_tokens {request.sampling.max_tokens} "
            f"the model takes at most {room}",
            param=field,
        )


def _head(number: int, document: Document) -> str:
    return f"Document [{number}] (Title: {document.title}) " if document.title else f"Document [{number}] "


def _tail(question: str) -> str:
    return f"\nAnswer with a few words from the documents.\nQuestion: {question}\nAnswer:"


def _solved(example: Example) -> str:
    documents = "".join(
        f"{_head(number, document)}{document.text}\n"
        for number, document in enumerate(example.documents, start=1)
    )
    return f"{documents}{_tail(example.question)} {example.answer}\n\n"


#: The solved examples that precede every question.
SOLVED = "".join(_solved(example) for example in EXAMPLES)
#: All parts of the prompt that do not come from the request.
TEMPLATE = (
    SOLVED,
    _head(1, Document(title="{title}", text="")),
    _head(2, Document(text="")),
    _tail("{q}"),
    STOP,
)
