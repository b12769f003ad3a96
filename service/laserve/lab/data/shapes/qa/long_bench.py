"""LongBench's rows (Bai et al., 2024, arXiv 2308.14508), and the metric of each dataset.

Requests have the service's form: the context is a document, which loses tokens if it is too long, and an
instruction of laserve is added where the dataset's input has none. Code is a plain prompt. So the figures
serve to compare reward models, and are not comparable with the published table.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from laserve.lab.data.row import CLASSIFICATION, Row
from laserve.lab.data.shapes.base import BadRecord, LeftOut, Location, Shape, Values
from laserve.lab.data.shapes.columns import text, texts
from laserve.lab.data.shapes.requests import digest, make_request, make_row
from laserve.types import Document, Request


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


def read_long_bench(values: Values, location: Location) -> Row | LeftOut:
    """The row of one record; records with equal contexts have one source.

    Raises:
        BadRecord: a column has another form, or the dataset is unknown.
    """
    name = text(values, "dataset").removesuffix("_e")
    if name in CHINESE:
        return LeftOut(reason=f"LongBench {name}: Chinese is not supported")
    if name not in DATASETS:
        known = ", ".join((*DATASETS, *CHINESE))
        raise BadRecord("dataset", f"must be one of {known}, is {name[:40]!r}")
    dataset = DATASETS[name]
    context = text(values, "context")
    return make_row(
        values,
        location,
        request=_request(dataset, context, text(values, "input")),
        source=digest((Document(text=context),)),
        task=dataset.task,
        metric=dataset.metric,
        references=texts(values, "answers"),
        classes=texts(values, "all_classes") if dataset.metric == CLASSIFICATION else (),
        first_line=dataset.first_line,
    )


def _request(dataset: Dataset, context: str, given: str) -> Request:
    if dataset.continued:
        return make_request(prompt=context + given)
    question = "\n".join(part for part in (dataset.instruction, given.strip()) if part)
    return make_request(question=question, documents=(Document(text=context),))


LONG_BENCH = Shape(
    name="LongBench",
    expected="input, context, answers and dataset",
    matches=lambda values: {"input", "context", "answers", "dataset"} <= values.keys(),
    read=read_long_bench,
)
