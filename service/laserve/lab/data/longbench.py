"""LongBench's rows (Bai et al., 2024, arXiv 2308.14508), and the metric of each dataset.

Requests have the service's form: the context is a document, which loses tokens if it is too long, and an
instruction of laserve is added where the dataset's input has none. Code is a plain prompt. So the figures
serve to compare reward models, and are not comparable with the published table.
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
    """Form of the requests of one dataset, and its metric."""

    task: str
    metric: str
    #: Instruction before the input, for inputs without one.
    instruction: str = ""
    #: Whether only the first line of an answer counts.
    first_line: bool = False
    #: Whether context and input are one text, which the answer continues.
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
#: Datasets in Chinese, which F1 and ROUGE-L cannot measure without word segmentation.
CHINESE = ("multifieldqa_zh", "dureader", "vcsum", "lsht", "passage_retrieval_zh")


def read(row: Mapping[str, Any], location: Location) -> Case | LeftOut:
    """The case of one row; rows with equal contexts have one source.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: the row has another form or an unknown dataset.
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
