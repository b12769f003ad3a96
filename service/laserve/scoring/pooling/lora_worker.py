"""LoRA kernels for vLLM on a CPU that do not copy the adapter's weights for every token.

vLLM's own CPU kernels copy both matrices of an adapter once per token, which for a prompt of 2,000 tokens
moves about a hundred times as much memory as the model itself. Here all tokens of one adapter are multiplied
by its matrices at once. Only the processes of engines import this module.
"""

from typing import Any

import torch
from vllm.lora.punica_wrapper.punica_cpu import PunicaWrapperCPU
from vllm.platforms.cpu import CpuPlatform

from laserve.engines.worker import Worker


class GroupedLora(PunicaWrapperCPU):  # type: ignore[misc]
    """y += (x A^T) B^T for each run of tokens that share an adapter."""

    #: First row, last row (excluded) and adapter slot of each run.
    _runs: tuple[tuple[int, int, int], ...] = ()

    def update_metadata(self, *arguments: Any, **options: Any) -> None:
        super().update_metadata(*arguments, **options)
        slots, counts = torch.unique_consecutive(self.token_lora_indices, return_counts=True)
        runs, start = [], 0
        for slot, count in zip(slots.tolist(), counts.tolist(), strict=True):
            if slot >= 0:
                runs.append((start, start + count, slot))
            start += count
        self._runs = tuple(runs)

    def add_lora_linear(  # noqa: PLR0917 - as vLLM calls it
        self,
        y: torch.Tensor,
        x: torch.Tensor,
        lora_a_stacked: tuple[torch.Tensor, ...],
        lora_b_stacked: tuple[torch.Tensor, ...],
        scale: float,
        output_slices: tuple[int, ...],
        **_: Any,
    ) -> None:
        """Add the adapters' changes to the output `y` of a linear layer, in place.

        Args:
            y: shape (tokens, sum of output_slices).
            x: shape (tokens, inputs).
            lora_a_stacked: one for each slice, shape (slots, 1, rank, inputs).
            lora_b_stacked: one for each slice, shape (slots, 1, size of the slice, rank).
        """
        rows, inputs = y.view(-1, y.shape[-1]), x.view(-1, x.shape[-1])
        for start, end, slot in self._runs:
            offset = 0
            for a, b, size in zip(lora_a_stacked, lora_b_stacked, output_slices, strict=True):
                small = inputs[start:end] @ a[slot, 0].T
                rows[start:end, offset : offset + size].addmm_(small, b[slot, 0].T, alpha=scale)
                offset += size


class LoraWorker(Worker):
    """The CPU worker with the kernels of `GroupedLora`."""

    def load_model(self, *arguments: Any, **options: Any) -> None:
        name = f"{GroupedLora.__module__}.{GroupedLora.__qualname__}"
        CpuPlatform.get_punica_wrapper = classmethod(lambda cls: name)
        super().load_model(*arguments, **options)
