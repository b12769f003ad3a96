"""Baseline of scoring n candidates: one padded batch of n whole texts."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from laserve.types import Vector


class Naive:
    """transformers, SDPA, on all cores, with the adapter merged into the weights.

    Args:
        base: folder of the model.
        adapter: folder of a LoRA adapter with a head of one label.
        exact: whether to use float32 instead of bfloat16, to measure the effect of rounding on a score.
    """

    def __init__(self, base: str, adapter: Path, *, exact: bool = False) -> None:
        import torch
        from peft import PeftModel
        from transformers import AutoModelForSequenceClassification

        torch.set_num_threads(len(os.sched_getaffinity(0)))
        dtype = torch.float32 if exact else torch.bfloat16
        model = AutoModelForSequenceClassification.from_pretrained(
            base, num_labels=1, dtype=dtype, attn_implementation="sdpa"
        )
        self._model: Any = PeftModel.from_pretrained(model, adapter).merge_and_unload().eval()

    def score(self, texts: Sequence[Sequence[int]]) -> Vector:
        """Logits, shape (n,), of n texts of token ids."""
        import torch

        lengths = torch.tensor([len(text) for text in texts])
        longest = int(lengths.max())
        ids = torch.tensor([[*text, *[0] * (longest - len(text))] for text in texts])
        mask = (torch.arange(longest) < lengths[:, None]).long()
        with torch.inference_mode():
            hidden = self._model.model(ids, attention_mask=mask).last_hidden_state
            last = hidden[torch.arange(len(texts)), lengths - 1]
            scores: Vector = self._model.score(last).float().numpy()[:, 0].astype(np.float64)
        return scores
