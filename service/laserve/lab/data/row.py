"""Row: one request with its answers, or with the right answers that measure sampled ones."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from laserve import textmetrics
from laserve.types import Request, Sampling

#: Placeholder: sampling is set later; `max_tokens` is the length reserved for stored answers.
BARE = Sampling(n=1, temperature=1.0, top_p=1.0, max_tokens=256)
#: Timeout of the requests in seconds; nothing in the laboratory waits that long.
TIMEOUT_S = 3600.0

#: Metric -> quality in [0, 1] of a text against one reference.
MEASURES: Mapping[str, Callable[[str, str], float]] = {
    "f1": textmetrics.f1,
    "exact_match": textmetrics.exact_match,
    "rouge_l": textmetrics.rouge_l,
    "retrieval": textmetrics.retrieval,
    "count": textmetrics.count,
    "code_similarity": textmetrics.code_similarity,
    "final_number": textmetrics.final_number,
    "choice": textmetrics.choice,
}
CLASSIFICATION = "classification"
#: Metrics of stored answers: preferred by people or not, right or wrong, and any other known quality.
PREFERENCE, CORRECTNESS, REWARD = "preference", "correctness", "reward"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One stored answer, and its quality."""

    text: str
    #: Quality in [0, 1].
    quality: float
    #: Name of the model that wrote the answer.
    model: str | None = None
    #: Total log-probability by the model that wrote the answer, in nats.
    logprob: float | None = None


@dataclass(frozen=True, kw_only=True)
class Row:
    """One request, with stored answers of known quality, with right answers, or with both or neither."""

    #: Unique within its file.
    id: str
    #: Name of the file, unique among the files of one command.
    file: str
    #: Position in the file, as messages name it: ``line 7``, ``row 7``, ``data[0].paragraphs[1].qas[2]``.
    position: str
    #: The request; its sampling and timeout are the placeholders of this module.
    request: Request
    #: Rows of one source, such as an article, are not independent: one set of rows must hold all or none.
    source: str
    #: Task of the request, for the context of the bandit; None if the file does not say.
    task: str | None = None
    #: Domains by which figures are broken down; there may be none.
    domains: tuple[str, ...] = ()
    #: Metric of the qualities of stored answers, or metric by which `references` measure a sampled answer.
    metric: str = REWARD
    #: Stored answers, in the order of the file.
    answers: tuple[Answer, ...] = ()
    #: Right answers, of which the closest counts.
    references: tuple[str, ...] = ()
    #: All classes, for `CLASSIFICATION`.
    classes: tuple[str, ...] = ()
    #: Whether only the first line of a sampled answer counts.
    first_line: bool = False
    #: Index of the document that holds the answer, if the file says so.
    gold: int | None = None

    @property
    def key(self) -> tuple[str, str]:
        return self.file, self.id

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple(answer.text for answer in self.answers)

    @property
    def qualities(self) -> tuple[float, ...]:
        """Quality of each stored answer, in [0, 1]."""
        return tuple(answer.quality for answer in self.answers)

    @property
    def logprobs(self) -> tuple[float, ...]:
        """Total log-probability of each stored answer, in nats; empty if one is not known."""
        known = tuple(answer.logprob for answer in self.answers if answer.logprob is not None)
        return known if len(known) == len(self.answers) else ()

    @property
    def models(self) -> tuple[str, ...]:
        """Name of the model that wrote each stored answer; empty if one is not known."""
        known = tuple(answer.model for answer in self.answers if answer.model)
        return known if len(known) == len(self.answers) else ()

    @property
    def instructive(self) -> bool:
        """Whether some stored answer is better than another."""
        return len(set(self.qualities)) > 1

    def quality(self, text: str) -> float:
        """Quality of a sampled answer against the references, in [0, 1]."""
        if self.first_line:
            text = text.lstrip("\n").split("\n")[0]
        if self.metric == CLASSIFICATION:
            return max(
                textmetrics.classification(text, reference, self.classes) for reference in self.references
            )
        return max(MEASURES[self.metric](text, reference) for reference in self.references)

    def with_reference(self) -> "Row":
        """The row with its first right answer as a stored answer of quality 1, unless it is one already."""
        if not self.references or self.references[0] in self.texts:
            return self
        return replace(self, answers=(*self.answers, Answer(text=self.references[0], quality=1.0)))
