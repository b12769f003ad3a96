"""Priors of the arms' rewards from an offline evaluation."""

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from laserve.config.messages import problems
from laserve.config.section import dotted
from laserve.errors import ConfigError


class Expected(BaseModel):
    """Pseudo-observations of one arm: `n` requests with a mean reward, whatever their context."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    #: Mean reward, in [0, 1].
    reward: float = Field(ge=0, le=1)
    #: Number of requests that the prior counts for.
    n: float = Field(ge=0, le=1e6)


_FORM = TypeAdapter(dict[str, Expected])


def read_prior(path: Path) -> dict[str, Expected]:
    """Prior by arm, from a file of ``laserve evaluate-rm --prior-out``.

    Raises:
        ConfigError: the file cannot be read, or has a wrong form.
    """
    try:
        return _FORM.validate_python(json.loads(path.expanduser().read_bytes()))
    except OSError as error:
        raise ConfigError.at("policy.prior", f"{path}: {error.strerror}") from error
    except ValidationError as error:
        steps, sentence = next(problems(error, _FORM.json_schema()))
        raise ConfigError.at("policy.prior", f"{path}: {dotted(steps) or 'file'}: {sentence}") from error
    except json.JSONDecodeError as error:
        position = f"line {error.lineno}, column {error.colno}"
        raise ConfigError.at("policy.prior", f"{path}, {position}: is not JSON") from error
    except ValueError as error:
        raise ConfigError.at("policy.prior", f"{path}: is not UTF-8 text") from error
