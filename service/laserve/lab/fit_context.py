"""``laserve fit-context``: the constants of the context features.

The projection is the principal components of the questions' embeddings. Prompt length and number of
documents get their mean and standard deviation over these questions. A sample of questions says nothing
about log2 n and temperature; their mean and standard deviation are fixed and cover 1..64 and 0..2.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from laserve.config import Settings
from laserve.errors import ConfigError
from laserve.generation.prompts import SOLVED
from laserve.lab.data import needs
from laserve.lab.data.reading import RowFile, read
from laserve.lab.output import write_bytes
from laserve.models.encoder import Encoder
from laserve.serve.wiring import make_encoder
from laserve.types import Request

logger = logging.getLogger(__name__)

#: Features of the embedding.
COMPONENTS = 32
#: Mean and standard deviation of log2 n and of the temperature.
LOG2_N = (3.0, 1.5)
TEMPERATURE = (0.8, 0.4)
#: Characters of one token, for the length in tokens, since no engine runs.
_CHARACTERS_A_TOKEN = 4.5
_BATCH = 256


async def fit(settings: Settings, data: Sequence[Path], out: Path, *, strict: bool = False) -> str:
    """Write the constants for the configured encoder and return a line that describes them.

    Args:
        data: files of rows, of which only the requests count.
        strict: whether a record that cannot be read is an error.

    Raises:
        ConfigError: there are not more different requests than components, or `out` cannot be written.
        InvalidRequest: a file cannot be read.
    """
    from safetensors.numpy import save

    files = read(data, strict=strict)
    requests = [request for file in files for request in _requests(file)]
    different = len({request.query for request in requests})
    if different <= COMPONENTS:
        paths = ", ".join(str(file.path) for file in files)
        given = f"{paths}: {different} different requests"
        raise ConfigError.at("--data", f"{given}; more than {COMPONENTS} are needed")
    encoder = make_encoder(settings)
    await encoder.load()
    try:
        vectors = await _embed(encoder, [request.query for request in requests])
    finally:
        await encoder.close()
    center = vectors.mean(axis=0)
    _, _, directions = np.linalg.svd(vectors - center, full_matrices=False)
    components = directions[:COMPONENTS]
    # The sign of a principal direction is arbitrary; the largest entry is made positive.
    components *= np.sign(components[np.arange(COMPONENTS), np.abs(components).argmax(axis=1)])[:, None]
    tokens = np.log1p([_characters(request) / _CHARACTERS_A_TOKEN for request in requests])
    documents = np.log1p([len(request.documents) for request in requests])
    explained = float(((vectors - center) @ components.T).var(axis=0).sum() / vectors.var(axis=0).sum())
    description = (
        f"{len(requests)} requests of {', '.join(file.label for file in files)}; "
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


def _requests(file: RowFile) -> list[Request]:
    """The requests of a file; a warning counts the records that are left out."""
    if file.left_out:
        logger.warning("%s: left out: %s", file.path, needs.counted(file.left_out))
    return [row.request for row in file.rows]


def _characters(request: Request) -> int:
    """Length of the generator's prompt, in characters, without titles and marks of turns."""
    texts = [document.text for document in request.documents]
    if request.question is not None:
        texts += [SOLVED, request.question]
    texts += [message.content for message in request.messages]
    return sum(map(len, (*texts, request.prompt or "")))


async def _embed(encoder: Encoder, queries: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float64]]:
    batches = [await encoder.encode(queries[i : i + _BATCH]) for i in range(0, len(queries), _BATCH)]
    return np.concatenate(batches).astype(np.float64)
