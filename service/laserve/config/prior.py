"""Priors of the arms' rewards from an offline evaluation."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from laserve.errors import ConfigError


class Expected(BaseModel):
    """Pseudo-observations of one arm: `n` requests with a mean reward, whatever their context."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    #: Mean reward, in [0, 1].
    reward: float = Field(ge=0, le=1)
    #: Number of requests that the prior counts for.
    n: float = Field(ge=0, le=1e6, allow_inf_nan=False)


_FORM = TypeAdapter(dict[str, Expected])


def read_prior(path: Path) -> dict[str, Expected]:
    """Prior by arm, from a file of ``laserve evaluate-rm --prior-out``.

    Raises:
        ConfigError: the file cannot be read, or has a wrong form.
    """
    try:
        return _FORM.validate_json(path.expanduser().read_bytes())
    except OSError as error:
        raise ConfigError.at("policy.prior", f"{path}: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        location = ".".join(map(str, first["loc"])) or "file"
        raise ConfigError.at("policy.prior", f"{path}: {location}: {first['msg']}") from error
