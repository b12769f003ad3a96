"""Benchmark of scoring n candidates of one prompt: laserve's `vllm` arm, and one padded batch.

Both have equal weights and texts and are measured in turn in one run, so that a noisy machine disturbs both
alike; figures are medians and their ratios.
"""

import asyncio
import os
import tempfile
import time
import warnings
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from laserve.config import Settings
from laserve.errors import ConfigError
from laserve.lab.bench.scoring.naive import Naive
from laserve.lab.bench.scoring.texts import Texts, ready_adapter
from laserve.lab.charts.chart import beside, png
from laserve.lab.charts.lines import Line, LineChart
from laserve.lab.output import Table, machine, show, write_bytes, write_json
from laserve.lab.progress import progress
from laserve.metrics import Metrics
from laserve.models.packaged import resolve
from laserve.models.tokenizer import FolderTokenizer
from laserve.scoring.pooling.engines import PoolingEngines
from laserve.scoring.pooling.model import VllmRewardModel
from laserve.scoring.rendering import render_candidate, render_prompt
from laserve.types import Vector

_MODEL = "smollm2-135m-instruct"
_N, _PROMPT_TOKENS = 16, 2000
_NAIVE_REPETITIONS, _REPETITIONS = 3, 9
_COUNTS, _PROMPTS = (1, 2, 4, 8, 16, 32, 64), (500, 1000, 2000, 4000, 6000)
#: With ``--quick``.
_QUICK_COUNTS, _QUICK_PROMPTS = (1, 4, 16, 64), (500, 2000)
#: Largest difference of two scores of one text, in root mean squares of the padded batch's error against
#: float32: both methods round to bfloat16 in every layer, in different orders, so their errors add up as
#: independent errors do, and 4 standard deviations allow for the largest of n.
_TOLERANCE = 4 * 2**0.5
#: Defaults of environment variables that silence vLLM and transformers.
_QUIET = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "TRANSFORMERS_VERBOSITY": "error",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TORCH_CPP_LOG_LEVEL": "ERROR",
    "TORCH_LOGS": "-all",
    "PYTHONWARNINGS": "ignore::FutureWarning,ignore::UserWarning:multiprocessing.resource_tracker",
}


def run(settings: Settings, *, quick: bool, out: Path | None) -> None:
    """Measure, print tables, and write the figures to `out` and the growth beside it as PNG.

    Keys: ``naive_s`` (one padded batch), ``cold_s`` (nothing cached), ``warm_s`` (prompt cached),
    ``cold_ratio`` and ``warm_ratio`` (naive over cold and over warm), ``floor_ratio`` (cold over one prefill
    of the prompt and one batch of the candidates' tokens without it), ``growth`` (rows of
    ``prompt_tokens``, ``prefill_s``, ``candidate_share`` and ``seconds`` by number of candidates),
    ``candidate_share`` (seconds of one more
    candidate as a share of a prefill; the largest of the rows), ``score_error`` and ``naive_score_error``
    (root mean square of the difference to the scores in float32, of the arm and of the padded batch),
    ``max_score_difference`` (between arm and padded batch), ``tolerance``, ``order_equal_except_near_ties``,
    ``n``, ``prompt_tokens``, ``repetitions``, ``machine``.

    Raises:
        ConfigError: a package that the comparison or the chart needs is not installed, the engine cannot
            start, or a file cannot be written.
    """
    picture = beside(out) if out else None
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    warnings.simplefilter("ignore", FutureWarning)  # of libraries, about their next versions
    try:
        figures = asyncio.run(_measure(settings, quick))
    except ImportError as error:
        raise ConfigError(f"{error}; pip install 'laserve[train]', or `make install` for all") from error
    _print(figures)
    if out and picture:
        write_json(out, figures)
        write_bytes(picture, png(growth_chart(figures)), "--json")


async def _measure(settings: Settings, quick: bool) -> dict[str, Any]:
    cache = settings.cache_dir.expanduser()
    base = resolve(_MODEL, cache)
    with tempfile.TemporaryDirectory() as folder:
        adapter = ready_adapter(base, Path(folder))
        model = VllmRewardModel(
            engines=PoolingEngines(metrics=Metrics()), cache_dir=cache, model=base, adapter=str(adapter)
        )
        await model.load()
        try:
            bench = Bench(
                model=model,
                naive=Naive(base, adapter),
                exact=Naive(base, adapter, exact=True),
                texts=Texts.of(base),
                base=base,
            )
            await bench.compare(quick=quick)
            rows = await bench.growth(quick=quick)
        finally:
            await model.close()
    return bench.figures() | {
        "growth": rows,
        "candidate_share": max(row["candidate_share"] for row in rows),
        "machine": machine(),
    }


@dataclass(kw_only=True)
class Bench:
    """The measurements, and their results so far."""

    model: VllmRewardModel
    naive: Naive
    exact: Naive
    texts: Texts
    base: str
    seconds: dict[str, list[float]] = field(default_factory=dict)
    #: Scores of equal texts by the padded batch and by the arm, each of shape (n,).
    pairs: list[tuple[Vector, Vector]] = field(default_factory=list)
    #: Scores of the first texts in float32.
    exact_scores: list[Vector] = field(default_factory=list)
    prompt_tokens: int = 0

    def __post_init__(self) -> None:
        self._tokenizer = FolderTokenizer(self.base, setting="model")

    async def compare(self, *, quick: bool) -> None:
        """Measure all methods of scoring n candidates, in turn."""
        await self._cold_and_warm({})  # warm-up
        repetitions = 2 if quick else _REPETITIONS
        with progress("scoring", repetitions) as report:
            for repetition in range(repetitions):
                if repetition < (1 if quick else _NAIVE_REPETITIONS):
                    await self._naive()
                await self._cold_and_warm(self.seconds)
                await self._floor()
                report.advance()

    async def growth(self, *, quick: bool) -> list[dict[str, Any]]:
        """Seconds for each length of the prompt and number of candidates."""
        counts, prompts = (_QUICK_COUNTS, _QUICK_PROMPTS) if quick else (_COUNTS, _PROMPTS)
        rows = []
        with progress("growth", len(prompts)) as report:
            for tokens in prompts:
                with closing(self.model.open(self.texts.request(tokens))) as reading:
                    prefill_s = await _timed(reading.prefill)
                seconds = {}
                for n in counts:
                    with closing(self.model.open(self.texts.request(tokens))) as reading:
                        seconds[n] = await _timed(reading.score, self.texts.candidates(n))
                rows.append(_row(tokens, prefill_s, seconds))
                report.advance()
        return rows

    async def _naive(self) -> None:
        """Measure the padded batch, and get the arm's scores of its texts."""
        request, candidates = self.texts.request(_PROMPT_TOKENS), self.texts.candidates(_N)
        prompt = await render_prompt(request, self._tokenizer, self.model.engine.max_model_len)
        ends = [await render_candidate(each.text, prompt, self._tokenizer) for each in candidates]
        self.prompt_tokens = len(prompt.ids)
        texts = [(*prompt.ids, *end) for end in ends]
        began = time.perf_counter()
        scores = await asyncio.to_thread(self.naive.score, texts)
        self._took("naive", time.perf_counter() - began)
        with closing(self.model.open(request)) as reading:
            self.pairs.append((scores, await reading.score(candidates)))
        if not self.exact_scores:
            self.exact_scores.append(await asyncio.to_thread(self.exact.score, texts))

    async def _cold_and_warm(self, seconds: dict[str, list[float]]) -> None:
        with closing(self.model.open(self.texts.request(_PROMPT_TOKENS))) as reading:
            cold = await _timed(reading.score, self.texts.candidates(_N))
            warm = await _timed(reading.score, self.texts.candidates(_N))
        seconds.setdefault("cold", []).append(cold)
        seconds.setdefault("warm", []).append(warm)

    async def _floor(self) -> None:
        """Measure one prefill of a prompt, and one batch of the candidates' tokens without it."""
        request, candidates = self.texts.request(_PROMPT_TOKENS), self.texts.candidates(_N)
        prompt = await render_prompt(request, self._tokenizer, self.model.engine.max_model_len)
        ends = [await render_candidate(each.text, prompt, self._tokenizer) for each in candidates]
        encode, adapter = self.model.engine.encode, self.model.adapter
        began = time.perf_counter()
        await encode(prompt.ids, adapter)
        await asyncio.gather(*(encode(end, adapter) for end in ends))
        self._took("floor", time.perf_counter() - began)

    def _took(self, way: str, seconds: float) -> None:
        self.seconds.setdefault(way, []).append(seconds)

    def figures(self) -> dict[str, Any]:
        median = {way: float(np.median(values)) for way, values in self.seconds.items()}
        (exact,) = self.exact_scores
        naive_error, error = (float(np.sqrt(np.mean((scores - exact) ** 2))) for scores in self.pairs[0])
        tolerance = _TOLERANCE * naive_error
        return {
            "naive_s": median["naive"],
            "cold_s": median["cold"],
            "warm_s": median["warm"],
            "floor_s": median["floor"],
            "cold_ratio": median["naive"] / median["cold"],
            "warm_ratio": median["naive"] / median["warm"],
            "floor_ratio": median["cold"] / median["floor"],
            "score_error": error,
            "naive_score_error": naive_error,
            "max_score_difference": max(float(np.abs(one - other).max()) for one, other in self.pairs),
            "tolerance": tolerance,
            "order_equal_except_near_ties": all(
                same_order(one, other, tolerance) for one, other in self.pairs
            ),
            "n": _N,
            "prompt_tokens": self.prompt_tokens,
            "repetitions": {way: len(values) for way, values in self.seconds.items()},
        }


def same_order(one: Any, other: Any, near: float) -> bool:
    """Whether two score vectors, shape (n,), order alike all pairs further apart than `near` in the first."""
    ours, theirs = np.subtract.outer(one, one), np.subtract.outer(other, other)
    return bool((theirs[ours > near] > 0).all())


async def _timed(work: Callable[..., Awaitable[Any]], *arguments: Any) -> float:
    began = time.perf_counter()
    await work(*arguments)
    return time.perf_counter() - began


def _row(tokens: int, prefill_s: float, seconds: dict[int, float]) -> dict[str, Any]:
    """One length of the prompt; the share is the slope of a line through the seconds, over a prefill's."""
    slope = float(np.polynomial.Polynomial.fit(list(seconds), list(seconds.values()), 1).convert().coef[1])
    return {
        "prompt_tokens": tokens,
        "prefill_s": prefill_s,
        "candidate_share": slope / prefill_s,
        "seconds": seconds,
    }


def growth_chart(figures: Mapping[str, Any]) -> LineChart:
    """Seconds over candidates, a line for each length of the prompt."""
    lines = {
        f"{row['prompt_tokens']:,} tokens": Line(x=list(row["seconds"]), y=list(row["seconds"].values()))
        for row in figures["growth"]
    }
    title = f"Seconds to score n candidates, {figures['machine']}"
    return LineChart(title=title, lines=lines, across="candidates", up="seconds", logarithmic=True)


def _print(figures: dict[str, Any]) -> None:
    shown = ("naive_s", "cold_s", "warm_s", "cold_ratio", "warm_ratio", "floor_ratio")
    counts: Sequence[int] = list(figures["growth"][0]["seconds"])
    show(
        Table(
            title=f"{figures['n']} candidates, {figures['prompt_tokens']} prompt tokens",
            columns=shown,
            rows=[[f"{figures[name]:.3g}" for name in shown]],
            names=0,
        ),
        f"Error of a score against float32: {figures['score_error']:.3f}, of the padded batch "
        f"{figures['naive_score_error']:.3f}; the two differ by at most "
        f"{figures['max_score_difference']:.3f} (tolerance {figures['tolerance']:.3f})",
        Table(
            title="Seconds by candidates, nothing cached",
            columns=("prompt", "prefill", *(f"n = {n}" for n in counts), "one more, of a prefill"),
            rows=[
                (
                    str(row["prompt_tokens"]),
                    *(f"{seconds:.2f}" for seconds in (row["prefill_s"], *row["seconds"].values())),
                    f"{row['candidate_share']:.1%}",
                )
                for row in figures["growth"]
            ],
        ),
        figures["machine"],
    )
