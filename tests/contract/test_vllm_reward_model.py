"""Reward models of one base on one pooling engine; one engine for the tests of this file, in their order."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import pytest_asyncio
import torch

from contract import samples, test_reward_model
from contract.reward_models import save_adapter
from contract.test_reward_model import score
from laserve.config import load
from laserve.errors import ConfigError, Unscorable
from laserve.metrics import Metrics
from laserve.models.folders import check_model
from laserve.models.tokenizer import FolderTokenizer
from laserve.scoring.pooling.engines import PoolingEngines
from laserve.scoring.pooling.model import VllmRewardModel
from laserve.scoring.rendering import render_candidate, render_prompt
from laserve.types import Document, Request

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.engine,
    # Said by what vLLM imports, and of what it leaves to the garbage collector.
    pytest.mark.filterwarnings(
        "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore:Unclosed context:ResourceWarning"
    ),
]

TEXTS = ("Ada Thorn", "in 1874", "", "the clock " * 15)
GIVEN = [samples.candidate(index, text) for index, text in enumerate(TEXTS)]


class Arms:
    """Two arms with an adapter each, on the same engine."""

    def __init__(self, base: Path, adapters: list[Path], options: dict[str, Any]) -> None:
        self.base = base
        self.adapters = adapters
        self.engines = PoolingEngines(metrics=Metrics())
        self.options = options
        self.models = [self.make(adapter=str(adapter)) for adapter in adapters]

    def make(self, **options: Any) -> VllmRewardModel:
        shared = {"engines": self.engines, "cache_dir": load().cache_dir.expanduser()}
        return VllmRewardModel(**shared, **{"model": str(self.base), **self.options, **options})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def arms(
    language_model: Path, vllm_arm: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Arms]:
    others = set(engine_processes())
    other = tmp_path_factory.mktemp("other-adapter")
    save_adapter(language_model, other, "SEQ_CLS", seed=11)
    made = Arms(language_model, [Path(vllm_arm["adapter"]), other], {"engine_args": vllm_arm["engine_args"]})
    await asyncio.gather(*(model.load() for model in made.models))
    yield made
    for model in made.models:
        await model.close()
    assert set(engine_processes()) <= others


def engine_processes() -> list[psutil.Process]:
    below = psutil.Process().children(recursive=True)
    return [each for each in below if "VLLM" in title(each)]


def title(process: psutil.Process) -> str:
    """What it calls itself; nothing where it has ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:  # a zombie too
        return ""


class TestProtocol(test_reward_model.TestProtocol):
    @pytest.fixture
    def model(self, arms: Arms) -> VllmRewardModel:
        return arms.models[0]


def long(words: int, title: str = "Clock") -> Request:
    """A request with a document; requests with different titles share no prefix to speak of."""
    return samples.request(documents=(Document(title=title, text="clock tower " * words),))


async def by_transformers(arms: Arms, adapter: Path, request: Request) -> Any:
    """Logits of the whole texts, one by one."""
    from peft import PeftModel
    from transformers import AutoModelForSequenceClassification

    tokenizer = FolderTokenizer(str(arms.base))
    prompt = await render_prompt(request, tokenizer, arms.models[0].engine.max_model_len)
    model = AutoModelForSequenceClassification.from_pretrained(arms.base, num_labels=1, dtype=torch.float32)
    model = PeftModel.from_pretrained(model, adapter).eval()
    with torch.inference_mode():
        ends = [await render_candidate(text, prompt, tokenizer) for text in TEXTS]
        return np.array([model(torch.tensor([[*prompt.ids, *end]])).logits[0, 0].item() for end in ends])


async def test_each_adapter_scores_with_its_own_head_as_transformers_does(arms: Arms) -> None:
    request = long(60)
    results = await asyncio.gather(*(score(model, request, GIVEN) for model in arms.models))
    for scores, adapter in zip(results, arms.adapters, strict=True):
        assert scores == pytest.approx(await by_transformers(arms, adapter, request), abs=2e-4)
    assert np.abs(results[0] - results[1]).min() > 1e-3


async def test_both_share_one_engine(arms: Arms) -> None:
    assert arms.models[0].engine is arms.models[1].engine


async def test_the_prompt_is_read_once(arms: Arms, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens that the engine had to compute, by its count of cache hits."""
    model, computed = arms.models[0], []
    whole = model.engine._llm().encode

    async def encode(prompt: Any, *arguments: Any, **options: Any) -> AsyncIterator[Any]:
        async for output in whole(prompt, *arguments, **options):
            computed.append(len(prompt["prompt_token_ids"]) - output.num_cached_tokens)
            yield output

    monkeypatch.setattr(model.engine._llm(), "encode", encode)
    with closing(model.open(long(200, "how often is a prompt read"))) as reading:
        await asyncio.gather(*(reading.score([each]) for each in GIVEN))
    assert sum(tokens > 300 for tokens in computed) == 1
    # Of a prompt that was read before, up to a block is computed again.
    assert max(sorted(computed)[:-1]) < 32 + 60

    computed.clear()
    with closing(model.open(long(200, "and with a prefill"))) as another:
        await another.prefill()
        await another.score(GIVEN)
        assert sum(tokens > 300 for tokens in computed) == 1
        computed.clear()
        await another.score(GIVEN)
        assert computed == []


async def test_documents_that_are_too_long_are_cut_and_that_is_told(arms: Arms) -> None:
    model = arms.models[0]
    with closing(model.open(long(50))) as fits, closing(model.open(long(3000))) as too_long:
        assert not too_long.truncated
        for reading in (fits, too_long):
            await reading.prefill()
        assert not fits.truncated
        assert too_long.truncated
        assert np.isfinite(await too_long.score(GIVEN)).all()


async def test_a_request_that_cannot_be_cut_is_unscorable(arms: Arms) -> None:
    with pytest.raises(Unscorable):
        await score(arms.models[0], samples.request(prompt="clock " * 3000), GIVEN)


async def test_a_cancelled_call_ends_the_work_of_the_engine(arms: Arms) -> None:
    model = arms.models[0]
    processor = model.engine._llm().output_processor
    task = asyncio.create_task(score(model, long(600, "what nobody waits for"), GIVEN))
    while not processor.has_unfinished_requests():
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0)
    assert not processor.has_unfinished_requests()
    assert np.isfinite(await score(model, long(10), GIVEN)).all()


async def test_an_adapter_that_vllm_refuses_costs_its_arm_alone(
    arms: Arms, tmp_path: Path, vllm_arm: dict[str, Any]
) -> None:
    for file in Path(vllm_arm["adapter"]).iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = tmp_path / "adapter_config.json"
    config.write_text(config.read_text().replace('"use_dora": false', '"use_dora": true'))
    with pytest.raises(ConfigError, match=r"options\.adapter: vLLM refuses"):
        await arms.make(adapter=str(tmp_path)).load()
    assert np.isfinite(await score(arms.models[0], long(10), GIVEN)).all()


async def test_an_arm_may_come_and_go_while_others_stay(arms: Arms) -> None:
    late = arms.make(adapter=str(arms.adapters[1]))
    await late.load()
    assert late.engine is arms.models[0].engine
    request = long(20)
    expected = await score(arms.models[1], request, GIVEN)
    assert (await score(late, request, GIVEN)) == pytest.approx(expected, abs=2e-4)
    await late.close()
    assert np.isfinite(await score(arms.models[1], request, GIVEN)).all()


async def test_a_base_without_a_head_needs_an_adapter(arms: Arms) -> None:
    assert check_model(arms.base, num_labels=None)
    with pytest.raises(ConfigError, match="holds no head"):
        await arms.make().load()
