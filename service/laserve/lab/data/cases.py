"""Cases: requests whose answers can be judged, as the readers of all formats return them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from laserve import textmetrics
from laserve.lab.data.questions import Question
from laserve.types import Request, Sampling

#: Placeholder: sampling is set later; `max_tokens` is the length reserved for stored answers.
BARE = Sampling(n=1, temperature=1.0, top_p=1.0, max_tokens=256)
#: Timeout of the requests in seconds; nothing here waits that long.
TIMEOUT_S = 3600.0

#: Metric -> quality in [0, 1] of a text against one reference.
MEASURES: Mapping[str, Callable[[str, str], float]] = {
    "f1": textmetrics.f1,
    "rouge_l": textmetrics.rouge_l,
    "retrieval": textmetrics.retrieval,
    "count": textmetrics.count,
    "code_similarity": textmetrics.code_similarity,
}
CLASSIFICATION = "classification"
#: Metrics of stored answers: preferred by people or not, right or wrong, and any other known reward.
PREFERENCE, CORRECTNESS, REWARD = "preference", "correctness", "reward"


@dataclass(frozen=True, kw_only=True)
class Stored:
    """Stored answers, and their qualities."""

    texts: tuple[str, ...]
    #: Quality of each text, in [0, 1].
    qualities: tuple[float, ...]
    #: Total log-probability of each text by the model that wrote it, in nats; empty if not known.
    logprobs: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Case:
    """One request, and the measure of the quality of its answers."""

    #: Unique within its file.
    id: str
    #: Name of the file, without its suffixes.
    file: str
    task: str
    #: Cases of one source, such as an article, are not independent of each other.
    source: str
    #: The request; its sampling is a placeholder.
    request: Request
    metric: str
    #: Right answers, of which the closest counts; empty for stored answers.
    references: tuple[str, ...] = ()
    #: All classes, for `CLASSIFICATION`.
    classes: tuple[str, ...] = ()
    #: Whether only the first line of an answer counts.
    first_line: bool = False
    #: Index of the document that holds the answer, if the file says so.
    gold: int | None = None
    #: The candidates, if they are stored instead of sampled.
    stored: Stored | None = None

    @property
    def key(self) -> tuple[str, str]:
        return self.file, self.id

    def quality(self, text: str) -> float:
        """Quality of an answer by the case's metric, in [0, 1]."""
        if self.first_line:
            text = text.lstrip("\n").split("\n")[0]
        if self.metric == CLASSIFICATION:
            return max(
                textmetrics.classification(text, reference, self.classes) for reference in self.references
            )
        return max(MEASURES[self.metric](text, reference) for reference in self.references)

    def cut(self, *, documents: int | None = None, passages: int | None = None) -> "Case":
        """The case with fewer documents, or with passages of them, as `Question` cuts them."""
        request = self.request
        if request.question is None or not request.documents or not (documents or passages):
            return self
        question = Question(
            id=self.id,
            task=self.task,
            question=request.question,
            documents=request.documents,
            answers=self.references,
            gold=self.gold,
        )
        if documents:
            question = question.cut(documents)
        if passages:
            question = question.passages(passages)
        return replace(self, request=replace(request, documents=question.documents), gold=question.gold)


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """A well-formed row that is not used."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class Location:
    """File and position of a row."""

    #: Name of the file, without its suffixes.
    file: str
    #: Line of the row or its path in the document; the id of a row without one.
    row: str


def texts(value: object, name: str) -> tuple[str, ...]:
    """A list of one text or more. Raises TypeError or ValueError otherwise."""
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise TypeError(f"{name} is a list of texts, not {type(value).__name__}")
    if not value:
        raise ValueError(f"{name} is empty")
    return tuple(text(one, name) for one in value)


def text(value: object, name: str) -> str:
    """The value, which must be a text. Raises TypeError otherwise."""
    if not isinstance(value, str):
        raise TypeError(f"{name} holds texts, not {type(value).__name__}")
    return value
