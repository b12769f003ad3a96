"""Weights of attributes, as a request brings them."""

from typing import Any

import pytest
from pydantic import ValidationError

from laserve.api.bodies.requests import GenerateBody
from laserve.config import SamplingDefaults


def read(weights: Any) -> Any:
    body = GenerateBody.model_validate({"prompt": "a", "attribute_weights": weights})
    return body.to_request(SamplingDefaults()).attribute_weights


def test_weights_reach_the_request() -> None:
    assert read({"helpfulness": 1, "verbosity": -0.5}) == {"helpfulness": 1.0, "verbosity": -0.5}
    assert GenerateBody(prompt="a").to_request(SamplingDefaults()).attribute_weights == {}


@pytest.mark.parametrize(
    "weights",
    [
        {"helpfulness": float("nan")},
        {"helpfulness": float("inf")},
        {"helpfulness": "1"},
        {"helpfulness": True},
        {"helpfulness": None},
        {"": 1.0},
        {str(number): 1.0 for number in range(65)},
        ["helpfulness"],
    ],
)
def test_what_is_no_weight_is_refused(weights: Any) -> None:
    with pytest.raises(ValidationError):
        read(weights)
