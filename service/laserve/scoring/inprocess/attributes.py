"""The kind ``attributes``: a reward model with several outputs, weighted per request."""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from laserve.errors import ConfigError, Unscorable
from laserve.scoring.inprocess.base import InProcess
from laserve.scoring.inprocess.classifier import Dtype, load_classifier
from laserve.scoring.inprocess.pretrained import check_options
from laserve.types import Request, Vector


class AttributesModel(InProcess):
    """Score = sum over attributes k of weight_k * output_k, of a sequence classifier with one label each.

    The weights are those of the request, else those of the settings; an attribute without a weight counts 0
    (the scoring of HelpSteer2-like models: Wang et al., 2024, arXiv 2406.08673).

    Args:
        attributes: names of the outputs, in order.
        weights: attribute -> weight, for requests without weights; by default 1 for each attribute.

    The other arguments are those of `laserve.scoring.inprocess.reward_model.TransformersModel`.
    """

    kind = "attributes"

    def __init__(
        self,
        *,
        cache_dir: Path,
        model: str,
        attributes: Sequence[str],
        weights: Mapping[str, float] | None = None,
        adapter: str | None = None,
        device: str = "cpu",
        dtype: Dtype = "auto",
        max_model_len: int | None = None,
        batch_tokens: int = 4096,
        trust_remote_code: bool = False,
    ) -> None:
        check_options(dtype=dtype, max_model_len=max_model_len, batch_tokens=batch_tokens)
        _check_names(attributes)
        self._attributes = tuple(attributes)
        self._weights = dict.fromkeys(attributes, 1.0) if weights is None else dict(weights)
        if unknown := self._unknown(self._weights):
            raise ConfigError.at("options.weights", unknown)
        _check_weights(self._weights)
        super().__init__(
            partial(
                load_classifier,
                model=model,
                adapter=adapter,
                outputs=len(self._attributes),
                cache_dir=cache_dir,
                device=device,
                dtype=dtype,
                max_model_len=max_model_len,
                batch_tokens=batch_tokens,
                trust_remote_code=trust_remote_code,
            ),
            name="rm-attributes",
        )

    def weights(self, request: Request) -> Vector:
        if unknown := self._unknown(request.attribute_weights):
            raise Unscorable(f"attribute_weights: {unknown}")
        weights = request.attribute_weights or self._weights
        return np.array([weights.get(name, 0.0) for name in self._attributes], dtype=np.float64)

    def _unknown(self, weights: Mapping[str, float]) -> str | None:
        """Message about unknown names among these weights; None if all are known."""
        names = [name for name in weights if name not in self._attributes]
        if not names:
            return None
        return f"unknown attribute {', '.join(map(repr, names))}; there are: {', '.join(self._attributes)}"


def _check_names(attributes: Any) -> None:
    if not isinstance(attributes, list | tuple) or not all(isinstance(name, str) for name in attributes):
        raise ConfigError.at("options.attributes", "expected a list of the outputs' names, in order")
    if not attributes or len(set(attributes)) != len(attributes):
        raise ConfigError.at("options.attributes", "expected at least one name, and no name twice")


def _check_weights(weights: Mapping[str, Any]) -> None:
    for name, weight in weights.items():
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not math.isfinite(weight):
            raise ConfigError.at(f"options.weights.{name}", "expected a finite number")
