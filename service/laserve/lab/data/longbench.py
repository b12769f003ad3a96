"""LongBench's rows (Bai et al., 2024, arXiv 2308.14508), each dataset with the metric that it is judged by.

Requests take the way of the service's own: the context is a document, which loses tokens where it is too
long, and an instruction of ours says what the dataset's input leaves open. Code is a plain prompt. So the
figures are for comparing reward models, not for comparison with the published table.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from laserve.lab.data.cases import (
    BARE,
    CLASSIFICATION,
    TIMEOUT_S,
    Case,
    LeftOut,
    Location,
    text,
    texts,
)
from laserve.types import Document, Request

COLUMNS = ("input", "context", "answers", "dataset")
EXPECTED = "input, context, answers, dataset (and all_classes, language, _id)"


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """How one dataset is asked and judged."""

    task: str
    metric: str
    #: What to do, where the input does not say; it stands before the input.
    instruction: str = ""
    #: Whether only the first line of an answer counts.
    first_line: bool = False
    #: Whether context and input are one text to be continued.
    continued: bool = False


_SINGLE = Dataset(task="single-doc-qa", metric="f1")
_MULTI = Dataset(task="multi-doc-qa", metric="f1")
_SUMMARY = Dataset(task="summarization", metric="rouge_l", instruction="Summarize the text above.")
_CODE = Dataset(task="code", metric="code_similarity", continued=True)
DATASETS: Mapping[str, Dataset] = {
    "narrativeqa": _SINGLE,
    "qasper": _SINGLE,
    "multifieldqa_en": _SINGLE,
    "hotpotqa": _MULTI,
    "2wikimqa": _MULTI,
    "musique": _MULTI,
    "gov_report": _SUMMARY,
    "multi_news": _SUMMARY,
    "qmsum": Dataset(task="summarization", metric="rouge_l"),
    "trec": Dataset(task="few-shot", metric=CLASSIFICATION, first_line=True),
    "triviaqa": Dataset(task="few-shot", metric="f1", first_line=True),
    "samsum": Dataset(task="few-shot", metric="rouge_l", first_line=True),
    "passage_retrieval_en": Dataset(
        task="retrieval",
        metric="retrieval",
        instruction='Which paragraph is this a summary of? Answer like "Paragraph 3".',
    ),
    "passage_count": Dataset(
        task="counting",
        metric="count",
        instruction="How many different paragraphs are there, without repetitions? Answer with a number.",
    ),
    "lcc": _CODE,
    "repobench-p": _CODE,
}
#: Their texts are Chinese, and words must be told apart before F1 or ROUGE-L can count them.
CHINESE = ("multifieldqa_zh", "dureader", "vcsum", "lsht", "passage_retrieval_zh")


def read(row: Mapping[str, Any], location: Location) -> Case | LeftOut:
    """The case of one row; rows with the same context are of one source.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: the row has another form, or is of no dataset known.
    """
    name = text(row["dataset"], "dataset").removesuffix("_e")
    if name in CHINESE:
        return LeftOut(reason=f"LongBench {name}: Chinese is not supported")
    if name not in DATASETS:
        raise ValueError(f"dataset is one of {', '.join((*DATASETS, *CHINESE))}, not {name!r}")
    dataset = DATASETS[name]
    context = text(row["context"], "context")
    classes: tuple[str, ...] = ()
    if dataset.metric == CLASSIFICATION:
        classes = texts(row["all_classes"], "all_classes")
    return Case(
        id=str(row.get("_id", location.row)),
        file=location.file,
        task=dataset.task,
        source=hashlib.sha256(context.encode()).hexdigest()[:16],
        request=_request(dataset, context, text(row["input"], "input")),
        metric=dataset.metric,
        references=texts(row["answers"], "answers"),
        classes=classes,
        first_line=dataset.first_line,
    )


def _request(dataset: Dataset, context: str, given: str) -> Request:
    if dataset.continued:
        return Request(prompt=context + given, sampling=BARE, timeout_s=TIMEOUT_S)
    question = "\n".join(part for part in (dataset.instruction, given.strip()) if part)
    return Request(question=question, documents=(Document(text=context),), sampling=BARE, timeout_s=TIMEOUT_S)
