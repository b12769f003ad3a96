"""The base class of all bodies."""

from pydantic import BaseModel, ConfigDict


class Body(BaseModel):
    """Base of all bodies: no unknown fields, no numbers in quotes, no booleans for numbers."""

    model_config = ConfigDict(extra="forbid", strict=True)
