"""Secrets among settings: the names of secret values, and values without secrets."""

import re
from collections.abc import Mapping
from typing import Any

#: Endings of names whose values are secrets, as lower-case letters alone, so that one ending covers
#: `X-Api-Key`, `apiKey` and `judge_api_key`. Any header may hold a secret.
_ENDINGS = (
    "accesskey",
    "apikey",
    "apikeys",
    "auth",
    "authorization",
    "bearer",
    "cookie",
    "cookies",
    "credential",
    "credentials",
    "headers",
    "passphrase",
    "passwd",
    "password",
    "passwords",
    "privatekey",
    "secret",
    "secretkey",
    "secrets",
    "subscriptionkey",
    "token",
)
#: Parameters of a URL that are secrets; elsewhere these names are too common.
_OF_URLS = frozenset({"key", "sig", "signature"})
#: A user's name and password in a URL, between scheme and host.
_USER = re.compile(r'(?<=://)[^\s/?#"<>]*@')
#: A parameter of a URL: the separator before its name, the name, and the value.
_PARAMETER = re.compile(r"""([?&#])([^\s?&#=]+)=([^\s&#"'<>]*)""")
_HIDDEN = "***"


def is_secret(name: str) -> bool:
    """Whether the value of an option, a header or a variable of this name is a secret."""
    return _plain(name).endswith(_ENDINGS)


def public(value: Any) -> Any:
    """A setting's value without secrets at any depth, and with names that JSON can sort.

    Entries of mappings with names of secrets are left out; texts go through `public_text`.
    """
    if isinstance(value, Mapping):
        return {str(name): public(inner) for name, inner in value.items() if not is_secret(str(name))}
    if isinstance(value, list | tuple):
        return [public(inner) for inner in value]
    return public_text(value) if isinstance(value, str) else value


def public_text(text: str) -> str:
    """A text whose URLs have no user and no password, and hide the values of secret parameters."""
    return _PARAMETER.sub(_hidden, _USER.sub("", text))


def _hidden(parameter: re.Match[str]) -> str:
    before, name, value = parameter.groups()
    secret = value and (is_secret(name) or _plain(name) in _OF_URLS)
    return f"{before}{name}={_HIDDEN}" if secret else parameter[0]


def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, name.lower())).rstrip("0123456789")
