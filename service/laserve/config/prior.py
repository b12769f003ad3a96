"""What an evaluation offline says that arms are worth, before their first request."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from laserve.errors import ConfigError


class Expected(BaseModel):
    """Pseudo-observations of one arm: as if it had answered `n` requests, whatever their context."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    #: Mean reward, in [0, 1].
    reward: float = Field(ge=0, le=1)
    #: Requests that it counts for.
    n: float = Field(ge=0, le=1e6, allow_inf_nan=False)


_FORM = TypeAdapter(dict[str, Expected])


def read_prior(path: Path) -> dict[str, Expected]:
    """What ``laserve evaluate-rm --prior-out`` wrote, by arm.

    Raises:
        ConfigError: the file cannot be read, or has another form.
    """
    try:
        return _FORM.validate_json(path.expanduser().read_bytes())
    except OSError as error:
        raise ConfigError.at("policy.prior", f"{path}: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "file"
        raise ConfigError.at("policy.prior", f"{path}: {place}: {first['msg']}") from error
