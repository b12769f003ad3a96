"""The caller of a request, by its API key."""

import hmac
from collections.abc import Mapping
from typing import Literal

from pydantic import SecretStr


def authenticate(
    authorization: str, keys: Mapping[str, SecretStr]
) -> tuple[str, None] | tuple[None, Literal["missing", "malformed", "unknown"]]:
    """The name of the key in an Authorization header, or the reason why there is none.

    Every key is compared, in a time that does not depend on how much of a secret is right.

    Args:
        authorization: the header's value; empty without one.
        keys: name -> secret, at least one.
    """
    scheme, _, secret = authorization.partition(" ")
    secret = secret.strip()
    caller = None
    for name, known in keys.items():
        if hmac.compare_digest(secret.encode(), known.get_secret_value().encode()):
            caller = name
    if not authorization.strip():
        return None, "missing"
    if scheme.lower() != "bearer" or not secret:
        return None, "malformed"
    return (None, "unknown") if caller is None else (caller, None)
