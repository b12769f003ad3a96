"""Classifiers that share a prompt say what they say of whole texts."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

import tiny
from builders import make_candidates, make_documents, make_request, make_sampling
from contract.reward_models import save_classifier
from laserve.config import load
from laserve.errors import ConfigError, Unscorable
from laserve.models.packaged import prepare
from laserve.models.tokenizer import FolderTokenizer
from laserve.scoring.inprocess import kv_cache
from laserve.scoring.inprocess.attributes import AttributesModel
from laserve.scoring.inprocess.base import InProcess
from laserve.scoring.inprocess.implicit import ImplicitReward
from laserve.scoring.inprocess.reward_model import TransformersModel
from laserve.scoring.rendering import render_candidate, render_prompt
from laserve.types import Candidate, Request, Vector

pytestmark = pytest.mark.asyncio(loop_scope="module")

CACHE = load().cache_dir.expanduser()
#: The model's length in most tests.
LENGTH = 512
CANDIDATES = make_candidates("Ada Thorn", "in 1874, on the old quay", "", "Peter", "the clock " * 20)


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.decoder(tmp_path_factory.mktemp("decoder"))


@pytest.fixture(scope="module")
def classifier(decoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_classifier(decoder, tmp_path_factory.mktemp("classifier"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def model(classifier: Path) -> AsyncIterator[TransformersModel]:
    model = TransformersModel(
        cache_dir=CACHE, model=str(classifier), dtype="float32", max_model_len=LENGTH, batch_tokens=64
    )
    await model.load()
    yield model
    await model.close()


async def score(model: InProcess, request: Request, candidates: Sequence[Candidate]) -> Vector:
    """Scores in a reading of their own."""
    with closing(model.open(request)) as reading:
        return await reading.score(candidates)


def long_request(words: int = 40) -> Request:
    documents = make_documents("The bridge was built by Ada Thorn. " * words, "Fish.")
    return make_request(documents=documents, sampling=make_sampling(max_tokens=64))


async def naive(folder: Path, request: Request, length: int = LENGTH, **options: Any) -> Any:
    """Scores of whole texts, one at a time, by the model's own forward pass."""
    import torch
    from transformers import AutoModelForSequenceClassification

    tokenizer = FolderTokenizer(str(folder))
    prompt = await render_prompt(request, tokenizer, length)
    core = AutoModelForSequenceClassification.from_pretrained(folder, **options).eval()
    scores = []
    for candidate in CANDIDATES:
        ids = [*prompt.ids, *await render_candidate(candidate.text, prompt, tokenizer)]
        with torch.inference_mode():
            scores.append(core(input_ids=torch.tensor([ids])).logits[0].tolist())
    return np.array(scores)


async def test_a_shared_prompt_changes_no_score(model: TransformersModel, classifier: Path) -> None:
    request = long_request()
    scores = await score(model, request, CANDIDATES)
    assert scores == pytest.approx((await naive(classifier, request))[:, 0], abs=1e-5)
    assert np.ptp(scores) > 0.01


async def test_candidates_may_come_one_by_one_and_the_prompt_may_be_read_ahead(
    model: TransformersModel,
) -> None:
    together = await score(model, long_request(), CANDIDATES)
    with closing(model.open(long_request())) as reading:
        await reading.prefill()
        alone = await asyncio.gather(*(reading.score([candidate]) for candidate in CANDIDATES))
    assert np.concatenate(alone) == pytest.approx(together, abs=1e-5)


async def test_requests_at_once_do_not_see_each_other(model: TransformersModel) -> None:
    requests = [long_request(), make_request(), long_request(2), make_request(question="who?")]
    apart = [await score(model, request, CANDIDATES) for request in requests]
    again = [long_request(), make_request(), long_request(2), make_request(question="who?")]
    at_once = await asyncio.gather(*(score(model, request, CANDIDATES) for request in again))
    assert np.array(at_once) == pytest.approx(np.array(apart), abs=1e-5)


async def test_documents_lose_tokens_where_the_request_is_too_long(model: TransformersModel) -> None:
    with closing(model.open(make_request())) as short, closing(model.open(long_request(200))) as long:
        assert not long.truncated
        for reading in (short, long):
            assert np.isfinite(await reading.score(CANDIDATES)).all()
        assert not short.truncated
        assert long.truncated


async def test_a_question_that_is_too_long_is_not_for_the_model(model: TransformersModel) -> None:
    with pytest.raises(Unscorable, match="too long for this reward model, which reads 512"):
        await score(model, make_request(question="who " * 600), CANDIDATES)


async def test_old_prompts_are_dropped_and_read_again(model: TransformersModel) -> None:
    readings = [model.open(long_request(60)) for _ in range(6)]
    first = [await reading.score(CANDIDATES) for reading in readings]
    assert len(model._kept) < len(readings)
    assert (await readings[0].score(CANDIDATES)) == pytest.approx(first[0], abs=1e-5)
    for reading in readings:
        reading.close()
    assert not model._kept


async def test_a_model_that_cannot_share_a_prompt_reads_whole_texts(
    classifier: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(kv_cache, "_seen", _all_seen)
    model = TransformersModel(
        cache_dir=CACHE, model=str(classifier), dtype="float32", max_model_len=LENGTH, batch_tokens=64
    )
    await model.load()
    assert "cannot share a prompt" in caplog.text
    request = long_request()
    scores = await score(model, request, CANDIDATES)
    await model.close()
    assert scores == pytest.approx((await naive(classifier, request))[:, 0], abs=1e-5)


def _all_seen(prompts: Any, rows: Any) -> Any:
    import torch

    height = sum(len(row.ids) for row in rows)
    return torch.ones(height, sum(len(prompt.ids) for prompt in prompts) + height, dtype=torch.bool)


async def test_it_is_exact_at_real_size(tmp_path: Path) -> None:
    folder = save_classifier(prepare("smollm2-135m-instruct", CACHE), tmp_path)
    model = TransformersModel(cache_dir=CACHE, model=str(folder), dtype="float32", max_model_len=LENGTH)
    await model.load()
    request = long_request(10)
    scores = await score(model, request, CANDIDATES)
    await model.close()
    assert scores == pytest.approx((await naive(folder, request))[:, 0], abs=1e-3)
    assert np.ptp(scores) > 0.01


async def test_a_pair_is_read_as_the_tokenizer_makes_it(tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder = save_classifier(prepare("all-minilm-l6-v2", CACHE), tmp_path)
    model = TransformersModel(cache_dir=CACHE, model=str(folder))
    await model.load()
    candidates = [one for one in CANDIDATES if one.text]  # transformers makes no pair with an empty text
    scores = await score(model, make_request(question="who built [SEP] it"), candidates)
    await model.close()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    core = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    pairs = [
        tokenizer("who built [SEP] it", one.text, split_special_tokens=True, return_tensors="pt")
        for one in candidates
    ]
    expected = [core(**pair).logits[0, 0].item() for pair in pairs]
    assert scores == pytest.approx(expected, abs=1e-5)


async def test_attributes_are_weighed_as_the_request_says(decoder: Path, tmp_path: Path) -> None:
    folder = save_classifier(decoder, tmp_path, labels=3)
    names = ["right", "kind", "long"]
    model = AttributesModel(
        cache_dir=CACHE,
        model=str(folder),
        attributes=names,
        weights={"right": 2, "long": -1},
        dtype="float32",
    )
    await model.load()
    own = await score(model, long_request(), CANDIDATES)
    asked_for = await score(model, make_request(attribute_weights={"kind": 0.5}), CANDIDATES)
    with pytest.raises(Unscorable, match="unknown attribute 'nice'; there are: right, kind, long"):
        await score(model, make_request(attribute_weights={"nice": 1, "kind": 1}), CANDIDATES)
    await model.close()
    assert own == pytest.approx(await naive(folder, long_request(), 2048) @ [2, 0, -1], abs=1e-5)
    assert asked_for == pytest.approx(await naive(folder, make_request(), 2048) @ [0, 0.5, 0], abs=1e-5)


async def test_the_implicit_reward_is_the_log_ratio_of_two_models(decoder: Path, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    before = AutoModelForCausalLM.from_pretrained(decoder, dtype=torch.float32)
    for weight in before.parameters():
        weight.data *= 1.05
    before.save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(decoder).save_pretrained(tmp_path)
    options = {"cache_dir": CACHE, "dtype": "float32", "batch_tokens": 64}
    model = ImplicitReward(model=str(decoder), reference=str(tmp_path), beta=0.5, **options)
    await model.load()
    request = long_request(5)
    scores = await score(model, request, CANDIDATES)
    await model.close()

    tokenizer = FolderTokenizer(str(decoder))
    prompt = await render_prompt(request, tokenizer, 2048)
    expected = []
    for candidate in CANDIDATES:
        answer = await render_candidate(candidate.text, prompt, tokenizer)
        sums = []
        for folder in (decoder, tmp_path):
            core = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
            ids = torch.tensor([[*prompt.ids, *answer]])
            with torch.inference_mode():
                logs = core(input_ids=ids).logits[0, len(prompt.ids) - 1 : -1].double().log_softmax(-1)
            sums.append(logs.gather(1, torch.tensor(answer)[:, None]).sum().item())
        expected.append(0.5 * (sums[0] - sums[1]))
    assert scores == pytest.approx(expected, abs=1e-4)
    assert np.ptp(scores) > 1e-3


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (TransformersModel, {"dtype": "int4"}, "options.dtype: unknown type 'int4'"),
        (TransformersModel, {"max_model_len": 8}, "options.max_model_len: must be at least 64"),
        (TransformersModel, {"batch_tokens": 0}, "options.batch_tokens"),
        (AttributesModel, {"attributes": []}, "options.attributes"),
        (AttributesModel, {"attributes": "abc"}, "options.attributes"),
        (AttributesModel, {"attributes": ["a", "a"]}, "options.attributes"),
        (
            AttributesModel,
            {"attributes": ["a"], "weights": {"b": 1.0}},
            "options.weights: unknown attribute 'b'",
        ),
        (AttributesModel, {"attributes": ["a"], "weights": {"a": float("nan")}}, "options.weights.a"),
        (ImplicitReward, {}, "options: expected exactly one of reference and adapter"),
        (
            ImplicitReward,
            {"reference": "a", "adapter": "b"},
            "options: expected exactly one of reference and adapter",
        ),
        (ImplicitReward, {"reference": "a", "beta": 0}, "options.beta"),
    ],
)
async def test_bad_options_are_refused(kind: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}") as caught:
        kind(cache_dir=CACHE, model="anything", **options)
    assert caught.value.message.startswith(f"{caught.value.param}: ")


async def test_a_length_over_the_models_own_is_refused(classifier: Path) -> None:
    model = TransformersModel(cache_dir=CACHE, model=str(classifier), max_model_len=4096)
    with pytest.raises(ConfigError, match=r"options.max_model_len: 4096 is more than the 2048 tokens"):
        await model.load()
    await model.close()


async def test_a_language_model_without_a_head_is_refused(decoder: Path) -> None:
    model = TransformersModel(cache_dir=CACHE, model=str(decoder))
    with pytest.raises(ConfigError, match=r"options.model: .* holds no head"):
        await model.load()
    await model.close()


async def test_an_adapter_without_peft_names_what_to_install(
    decoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    from contract.reward_models import save_adapter

    adapter = save_adapter(decoder, tmp_path, "SEQ_CLS")
    monkeypatch.setitem(sys.modules, "peft", None)
    model = TransformersModel(cache_dir=CACHE, model=str(decoder), adapter=str(adapter))
    with pytest.raises(ConfigError, match=r"pip install 'laserve\[train\]'"):
        await model.load()
    await model.close()
