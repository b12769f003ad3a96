"""The encoders, loaded once: what scorers and encoders are tested with."""

from collections.abc import AsyncIterator

import pytest_asyncio
import torch

from contract.reward_models import (  # noqa: F401 - fixtures
    adapter_arm,
    attributes_arm,
    cross_encoder,
    decoder_arm,
    encoder_arm,
    implicit_arm,
    judge_arm,
    python_ahead_arm,
    python_arm,
    python_opening_arm,
    remote_arm,
    served_judge_arm,
    served_remote_arm,
    small_server,
    vllm_arm,
)
from laserve.config import load
from laserve.models.encoder import HashEncoder, SentenceEncoder
from laserve.models.packaged import prepare


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def sentence_encoder() -> AsyncIterator[SentenceEncoder]:
    # Texts here are short, and threads that wait for each other on busy cores cost more than they help.
    torch.set_num_threads(1)
    encoder = SentenceEncoder(str(prepare("all-minilm-l6-v2", load().cache_dir.expanduser())))
    await encoder.load()
    yield encoder
    await encoder.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def hash_encoder() -> HashEncoder:
    encoder = HashEncoder()
    await encoder.load()
    return encoder
