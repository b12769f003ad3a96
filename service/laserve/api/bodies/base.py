"""The base class of all bodies."""

from pydantic import BaseModel, ConfigDict


class Body(BaseModel):
    """Base of all bodies: unknown fields, numbers in quotes and booleans for numbers are refused."""

    model_config = ConfigDict(extra="forbid", strict=True)
