"""Answers packed behind one prompt are scored as if each had been read alone."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import tiny
from builders import make_row
from laserve.lab.training.packing import digest, pack, scores
from laserve.models.tokenizer import FolderTokenizer
from laserve.types import Document, Request, Sampling

REQUEST = Request(
    question="who built the harbour clock?",
    documents=(Document(title="Velm", text="Ada Thorn built the harbour clock in 1874. " * 5),),
    sampling=Sampling(n=1, temperature=1.0, top_p=1.0, max_tokens=16),
    timeout_s=1.0,
)
ROW = make_row(
    1.0, 0.0, 0.0, 0.2, texts=("Ada Thorn", "", "a boat on the lake of Rhun", "1874"), request=REQUEST
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.decoder(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def core(folder: Path) -> Any:
    from transformers import AutoModelForSequenceClassification

    torch.manual_seed(0)
    return AutoModelForSequenceClassification.from_pretrained(
        folder, num_labels=1, dtype=torch.float32
    ).eval()


async def test_packed_scores_equal_those_of_full_texts(folder: Path, core: Any) -> None:
    packed = await pack(ROW, FolderTokenizer(str(folder)), 512)
    assert packed is not None
    with torch.inference_mode():
        together = scores(core, packed.prompt, packed.answers)
        alone = [
            core(input_ids=torch.tensor([[*packed.prompt, *answer]])).logits[0, 0]
            for answer in packed.answers
        ]
    assert together.tolist() == pytest.approx([float(score) for score in alone], abs=1e-5)
    assert len(set(together.tolist())) == len(ROW.texts)


async def test_long_documents_are_cut_and_answers_are_not(folder: Path) -> None:
    tokenizer = FolderTokenizer(str(folder))
    long = replace(ROW, request=replace(REQUEST, documents=(Document(text="clock tower " * 2000),)))
    whole, cut = await asyncio.gather(pack(ROW, tokenizer, 512), pack(long, tokenizer, 512))
    assert whole is not None
    assert cut is not None
    assert cut.answers == whole.answers
    assert len(cut.prompt) + max(map(len, cut.answers)) <= 512


async def test_a_row_that_cannot_fit_is_left_out(folder: Path) -> None:
    endless = replace(ROW, request=replace(REQUEST, question="why " * 500))
    assert await pack(endless, FolderTokenizer(str(folder)), 256) is None


async def test_an_answer_without_any_token_is_scored_by_the_prompts_end(core: Any) -> None:
    prompt = [5, 6, 7]
    with torch.inference_mode():
        together = scores(core, prompt, [[8, 9], []])
        alone = core(input_ids=torch.tensor([prompt])).logits[0, 0]
    assert float(together[1]) == pytest.approx(float(alone), abs=1e-5)


async def test_equal_rows_have_one_digest_and_other_qualities_another(folder: Path) -> None:
    tokenizer = FolderTokenizer(str(folder))
    first, again, other = [
        await pack(row, tokenizer, 512)
        for row in (ROW, ROW, make_row(1.0, 0.0, 0.0, 0.3, texts=ROW.texts, request=REQUEST))
    ]
    assert first and again and other
    assert digest([first]) == digest([again]) != digest([other])
