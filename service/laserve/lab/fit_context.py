"""``laserve fit-context``: the constants of the context features.

The projection is the principal components of the questions' embeddings. Prompt length and number of
documents get their mean and standard deviation over these questions. A sample of questions says nothing
about log2 n and temperature; their mean and standard deviation are fixed and cover 1..64 and 0..2.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from laserve.config import Settings
from laserve.errors import ConfigError, InvalidRequest
from laserve.generation.prompts import SOLVED
from laserve.lab.data.questions import json_lines
from laserve.lab.output import write_bytes
from laserve.models.encoder import Encoder
from laserve.serve.wiring import make_encoder

#: Features of the embedding.
COMPONENTS = 32
#: Mean and standard deviation of log2 n and of the temperature.
LOG2_N = (3.0, 1.5)
TEMPERATURE = (0.8, 0.4)
#: Characters of one token, for the length in tokens, since no engine runs.
_CHARACTERS_A_TOKEN = 4.5
_BATCH = 256


async def fit(settings: Settings, data: Sequence[Path], out: Path) -> str:
    """Write the constants for the configured encoder and return a line that describes them.

    Args:
        data: JSON lines with ``question`` and ``documents``, or with ``prompt``.

    Raises:
        ConfigError: there are fewer requests than components.
        InvalidRequest: a row holds neither question nor prompt.
    """
    from safetensors.numpy import save

    requests = [request for path in data for request in _requests(path)]
    if len(requests) <= COMPONENTS:
        raise ConfigError.at("--data", f"{len(requests)} requests; more than {COMPONENTS} are needed")
    encoder = make_encoder(settings)
    await encoder.load()
    try:
        vectors = await _embed(encoder, [query for query, _, _ in requests])
    finally:
        await encoder.close()
    center = vectors.mean(axis=0)
    _, _, directions = np.linalg.svd(vectors - center, full_matrices=False)
    components = directions[:COMPONENTS]
    # The sign of a principal direction is arbitrary; the largest entry is made positive.
    components *= np.sign(components[np.arange(COMPONENTS), np.abs(components).argmax(axis=1)])[:, None]
    tokens = np.log1p([characters / _CHARACTERS_A_TOKEN for _, characters, _ in requests])
    documents = np.log1p([count for _, _, count in requests])
    explained = float(((vectors - center) @ components.T).var(axis=0).sum() / vectors.var(axis=0).sum())
    description = (
        f"{len(requests)} requests of {', '.join(path.name for path in data)}; "
        f"{COMPONENTS} components hold {explained:.1%} of the variance; encoder {encoder.fingerprint}"
    )
    constants = save(
        {
            "mean": np.array([LOG2_N[0], TEMPERATURE[0], tokens.mean(), documents.mean()]),
            "sd": np.array([LOG2_N[1], TEMPERATURE[1], max(tokens.std(), 0.5), max(documents.std(), 0.5)]),
            "center": center.astype(np.float32),
            "components": np.ascontiguousarray(components, dtype=np.float32),
        },
        metadata={"made_from": description},
    )
    write_bytes(out, constants, "--out")
    return description


def _requests(path: Path) -> Iterator[tuple[str, int, int]]:
    """(query, characters of the prompt, number of documents) of each row."""
    for number, row in json_lines(path):
        query: Any = row.get("question", row.get("prompt"))
        if not isinstance(query, str):
            raise InvalidRequest(f"{path}:{number}: holds neither question nor prompt")
        texts = [document["text"] for document in row.get("documents", ())]
        shown = len(SOLVED) if "question" in row else 0
        yield query, shown + len(query) + sum(map(len, texts)), len(texts)


async def _embed(encoder: Encoder, queries: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float64]]:
    batches = [await encoder.encode(queries[i : i + _BATCH]) for i in range(0, len(queries), _BATCH)]
    return np.concatenate(batches).astype(np.float64)
