"""The kind ``transformers``: a reward model in this process."""

from functools import partial
from pathlib import Path

from laserve.scoring.inprocess.base import InProcess
from laserve.scoring.inprocess.classifier import Dtype, load_classifier
from laserve.scoring.inprocess.pretrained import check_options


class TransformersModel(InProcess):
    """The raw output of a sequence classifier with one label.

    A decoder reads the request once, in its chat template, and the candidates of a request behind it in one
    pass; the score is read off the last token. An encoder reads (request, candidate) pairs.

    Args:
        cache_dir: folder in which packaged models are prepared.
        model: folder of the model, or name of a packaged model.
        adapter: folder of a LoRA adapter with a head, as PEFT saves it.
        device: device of the model, such as ``cpu`` or ``cuda``.
        dtype: type of the weights; ``auto`` is bfloat16 for decoders and float32 for encoders.
        max_model_len: longest request and candidate together, in tokens; by default the model's own.
        batch_tokens: largest number of tokens in a forward pass, which bounds its memory.
        trust_remote_code: whether to run code that comes with the model.
    """

    kind = "transformers"

    def __init__(
        self,
        *,
        cache_dir: Path,
        model: str,
        adapter: str | None = None,
        device: str = "cpu",
        dtype: Dtype = "auto",
        max_model_len: int | None = None,
        batch_tokens: int = 4096,
        trust_remote_code: bool = False,
    ) -> None:
        check_options(dtype=dtype, max_model_len=max_model_len, batch_tokens=batch_tokens)
        super().__init__(
            partial(
                load_classifier,
                model=model,
                adapter=adapter,
                outputs=1,
                cache_dir=cache_dir,
                device=device,
                dtype=dtype,
                max_model_len=max_model_len,
                batch_tokens=batch_tokens,
                trust_remote_code=trust_remote_code,
            ),
            name="rm-transformers",
        )
