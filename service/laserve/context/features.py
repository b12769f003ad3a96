"""Context x of a request: the features that the policy sees before a token is generated."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from laserve.errors import ConfigError
from laserve.models.encoder import Encoder, Matrix
from laserve.types import Request, Vector

#: Name of the feature that is always 1.
BIAS = "bias"
#: Buckets for tasks that the configuration does not declare.
TASK_BUCKETS = 8
#: Classes by the first matching word of the question; a question without any has the class `other`.
QUESTION_WORDS = ("who", "what", "when", "where", "why", "how", "which")
#: Quantities that `Features` standardises, in this order.
SCALED = ("log2_n", "temperature", "log_prompt_tokens", "log_documents")


@dataclass(frozen=True, kw_only=True)
class Features:
    """Constants that turn raw quantities and an embedding into features.

    ``laserve fit-context`` computes them (see `laserve.lab.fit_context`).
    """

    #: Means of the `SCALED` quantities, shape (4,).
    mean: Vector
    #: Standard deviations of the `SCALED` quantities, shape (4,), positive.
    sd: Vector
    #: Mean embedding, shape (e,), float32.
    center: Matrix
    #: Principal directions, orthonormal rows, shape (k, e), float32.
    components: Matrix
    fingerprint: str

    @classmethod
    def read(cls, path: Path | None = None) -> "Features":
        """Load constants from a file, by default the shipped ones. Raises ConfigError when that fails."""
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            source = path or files("laserve.context") / "data" / "features.safetensors"
            payload = source.read_bytes()
            tensors = load(payload)
            if not tensors["mean"].shape == tensors["sd"].shape == (len(SCALED),):
                raise ConfigError.at(
                    "context.features", f"{path} must hold {len(SCALED)} means and deviations"
                )
            return cls(
                mean=tensors["mean"].astype(np.float64),
                sd=tensors["sd"].astype(np.float64),
                center=tensors["center"],
                components=tensors["components"],
                fingerprint=hashlib.sha256(payload).hexdigest()[:16],
            )
        except (OSError, SafetensorError, KeyError) as error:
            raise ConfigError.at("context.features", f"cannot read {path}: {error}") from error


class ContextBuilder:
    """Builder of x = [1, declared task, hash of other tasks, scaled quantities, question word, embedding].

    Args:
        encoder: encoder to unit vectors of shape (e,); it must be loaded before the first `build`.
        features: constants for that encoder.
        tasks: the declared tasks.
    """

    def __init__(self, *, encoder: Encoder, features: Features, tasks: Sequence[str]) -> None:
        self.encoder = encoder
        self.features = features
        self.tasks = tuple(tasks)
        self.names: tuple[str, ...] = (
            BIAS,
            *(f"task:{task}" for task in self.tasks),
            *(f"task_bucket:{bucket}" for bucket in range(TASK_BUCKETS)),
            *SCALED,
            *(f"word:{word}" for word in (*QUESTION_WORDS, "other")),
            *(f"embedding:{row}" for row in range(len(features.components))),
        )

    @property
    def dimension(self) -> int:
        return len(self.names)

    def check(self) -> None:
        """Raise ConfigError when the loaded encoder does not fit the constants."""
        expected = self.features.components.shape[1]
        if self.encoder.dimension != expected:
            raise ConfigError.at(
                "context.encoder",
                f"has {self.encoder.dimension} dimensions, the constants {expected}; "
                "make constants for it with `laserve fit-context` and set context.features",
            )

    def prior_diagonal(self, *, structure: float, embedding: float) -> Vector:
        """Ridge of each feature, shape (d,)."""
        return prior_diagonal(self.names, structure=structure, embedding=embedding)

    def prior_mean(self, reward: float) -> Vector:
        """theta that predicts `reward` for every x, shape (d,); only its entry for the bias is not 0."""
        return prior_mean(self.names, reward)

    def fingerprint(self) -> dict[str, Any]:
        """Properties that must not change during the life of a log, as JSON values by setting."""
        return {
            "context.encoder": self.encoder.fingerprint,
            "context.features": self.features.fingerprint,
            "context.tasks": list(self.tasks),
        }

    async def build(self, request: Request, prompt_tokens: int) -> Vector:
        """x of one request, shape (d,), float64.

        Args:
            request: the client's request.
            prompt_tokens: length of the generator's prompt, in tokens.
        """
        sampling = request.sampling
        raw = np.array(
            [
                np.log2(sampling.n),
                sampling.temperature,
                np.log1p(prompt_tokens),
                np.log1p(len(request.documents)),
            ]
        )
        (vector,) = await self.encoder.encode([request.query])
        return np.concatenate(
            [
                [1.0],
                self._task(request.task),
                (raw - self.features.mean) / self.features.sd,
                _question_word(request.query),
                (self.features.components @ (vector - self.features.center)).astype(np.float64),
            ]
        )

    def _task(self, task: str | None) -> Vector:
        hot = np.zeros(len(self.tasks) + TASK_BUCKETS)
        if task in self.tasks:
            hot[self.tasks.index(task)] = 1.0
        elif task is not None:
            digest = hashlib.sha256(task.encode()).digest()
            hot[len(self.tasks) + digest[0] % TASK_BUCKETS] = 1.0
        return hot


def prior_diagonal(names: Sequence[str], *, structure: float, embedding: float) -> Vector:
    """Ridge of the features of these names, shape (d,)."""
    return np.array([embedding if name.startswith("embedding:") else structure for name in names])


def prior_mean(names: Sequence[str], reward: float) -> Vector:
    """theta that predicts `reward` for every x, shape (d,); only its entry for the bias is not 0."""
    return np.array([reward if name == BIAS else 0.0 for name in names])


def _question_word(query: str) -> Vector:
    words = re.findall(r"[a-z]+", query.lower())
    first = next((word for word in words if word in QUESTION_WORDS), None)
    hot = np.zeros(len(QUESTION_WORDS) + 1)
    hot[QUESTION_WORDS.index(first) if first else -1] = 1.0
    return hot
