"""Sentence embeddings, shared by the context features and the `relevance` scorer."""

import asyncio
import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from laserve.errors import ConfigError

#: Number of texts in one job of the encoder's thread.
_JOB_TEXTS = 16

Matrix = npt.NDArray[np.float32]


class Encoder(Protocol):
    """An encoder of texts as unit vectors.

    `encode` returns shape (len(texts), dimension), float32, each row of Euclidean norm 1. It cuts the end of
    texts longer than `max_tokens`.
    """

    dimension: int
    max_tokens: int
    #: Identifies the vectors: it changes whenever they would.
    fingerprint: str

    async def load(self) -> None:
        """Load the model. Raises ConfigError when the model is missing or unreadable."""

    async def encode(self, texts: Sequence[str]) -> Matrix: ...

    async def close(self) -> None: ...


class HashEncoder:
    """A deterministic fake: words hashed into signed buckets. Texts with common words have close vectors."""

    def __init__(self, dimension: int = 384) -> None:
        self.dimension = dimension
        self.max_tokens = 256
        self.fingerprint = f"hash-{dimension}"

    async def load(self) -> None: ...

    async def close(self) -> None: ...

    async def encode(self, texts: Sequence[str]) -> Matrix:
        rows = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in text.lower().split()[: self.max_tokens]:
                digest = hashlib.blake2b(word.encode(), digest_size=8).digest()
                row[int.from_bytes(digest[:4], "little") % self.dimension] += 1 if digest[4] % 2 else -1
            norm = float(np.linalg.norm(row))
            row[0 if norm == 0 else slice(None)] = 1.0 if norm == 0 else row / norm
        return rows


class SentenceEncoder:
    """A sentence-transformers encoder (mean pooling, then normalised), run by transformers on one thread.

    Args:
        path: a folder with ``model.safetensors``, ``config.json`` and a tokenizer.
        max_tokens: longest text, in tokens; all-MiniLM-L6-v2 was trained on 256.
        batch_tokens: most padded tokens of one forward pass, which bounds its memory.
        device: torch device, ``cpu`` or ``cuda``.
    """

    def __init__(
        self, path: str, *, max_tokens: int = 256, batch_tokens: int = 8192, device: str = "cpu"
    ) -> None:
        self.path = Path(path)
        self.max_tokens = max_tokens
        self.batch_tokens = batch_tokens
        self.device = device
        self.dimension = 0
        self.fingerprint = ""
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="encoder")
        self._model: Any = None
        self._tokenizer: Any = None

    async def load(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._threads, self._load)

    async def encode(self, texts: Sequence[str]) -> Matrix:
        # Jobs are small, so that other requests run in between and a cancelled caller stops.
        loop = asyncio.get_running_loop()
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        rows = np.empty((len(texts), self.dimension), dtype=np.float32)
        for start in range(0, len(order), _JOB_TEXTS):
            indices = order[start : start + _JOB_TEXTS]
            job = [texts[i] for i in indices]
            rows[indices] = await loop.run_in_executor(self._threads, self._encode, job)
        return rows

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _load(self) -> None:
        try:
            from transformers import AutoModel, AutoTokenizer
            from transformers.utils import logging
        except ImportError as error:
            raise ConfigError.at(
                "context.encoder", f"{error}; pip install 'laserve[encoder]', or set it to hash"
            ) from error

        logging.disable_progress_bar()
        weights = self.path / "model.safetensors"
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(self.path, local_files_only=True)
            self._model = AutoModel.from_pretrained(self.path, local_files_only=True, use_safetensors=True)
            with weights.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except (OSError, ValueError) as error:
            raise ConfigError.at("context.encoder", f"cannot load {self.path}: {error}") from error
        self._model.eval().to(self.device)
        self.dimension = int(self._model.config.hidden_size)
        self.fingerprint = f"sentence-{digest[:16]}-{self.max_tokens}"

    def _encode(self, texts: list[str]) -> Matrix:
        import torch

        ids = self._tokenizer(
            texts, truncation=True, max_length=self.max_tokens, split_special_tokens=True
        ).input_ids
        order = sorted(range(len(texts)), key=lambda i: len(ids[i]))
        rows = np.empty((len(texts), self.dimension), dtype=np.float32)
        start = 0
        while start < len(order):
            end = start + 1
            while end < len(order) and (end + 1 - start) * len(ids[order[end]]) <= self.batch_tokens:
                end += 1
            batch = order[start:end]
            padded = self._tokenizer.pad(
                {"input_ids": [ids[i] for i in batch]}, padding=True, return_tensors="pt"
            ).to(self.device)
            with torch.inference_mode():
                states = self._model(**padded).last_hidden_state
                mask = padded["attention_mask"].unsqueeze(-1).to(states.dtype)
                pooled = (states * mask).sum(1) / mask.sum(1)
                unit = torch.nn.functional.normalize(pooled, dim=-1)
            rows[batch] = unit.float().cpu().numpy()
            start = end
        return rows
