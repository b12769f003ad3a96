"""Check of arms that are added over HTTP: allowed kinds, folders and URLs, and no secrets."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from laserve.config.secrets import is_secret, public_text
from laserve.errors import Forbidden, InvalidRequest
from laserve.models.folders import adapter_folder
from laserve.models.packaged import PACKAGED
from laserve.scoring.registry import KINDS

#: Options that name a folder, or a packaged model.
PATHS = frozenset({"model", "adapter", "reference", "tokenizer"})
#: Options that hold the URL of a server.
URLS = frozenset({"url"})
#: Kinds whose `model` is a name on their server.
SERVED = frozenset({"remote", "judge"})
#: Options, besides secrets, that only the configuration may set: they run code or give access.
REFUSED = frozenset({"engine_args", "env", "extra_body", "trust_remote_code"})
_PORTS = {"http": 80, "https": 443}


class Allowed:
    """The kinds, folders and URLs that the configuration allows.

    Args:
        kinds: kinds that may be added.
        folders: folders in which models may lie; links are followed before the check.
        urls: URLs at or below which servers may be.
    """

    def __init__(self, *, kinds: Sequence[str], folders: Sequence[Path], urls: Sequence[str]) -> None:
        self._kinds = tuple(kinds)
        self._folders = tuple(folder.expanduser().resolve() for folder in folders)
        self._urls = tuple(urls)

    def check(self, kind: str, options: Mapping[str, Any]) -> None:
        """Check an arm that is to be added, before its model is made.

        Raises:
            Forbidden: the arm is not allowed; ``param`` names the field, the message says what is allowed.
            InvalidRequest: the kind does not exist, or a value is of the wrong form.
        """
        if kind not in KINDS:
            raise InvalidRequest(f"kind: unknown kind {kind!r}; there are: {', '.join(KINDS)}", param="kind")
        if kind not in self._kinds:
            raise Forbidden(
                f"kind: {kind!r} may not be added over HTTP; scoring.allow_kinds has: "
                f"{', '.join(self._kinds) or 'none'}",
                param="kind",
            )
        for param, name, value in _leaves(options, "options"):
            if name in REFUSED or is_secret(name):
                raise Forbidden(f"{param}: only the configuration may set this option", param=param)
            if value is not None:
                self._check_value(kind, param, name, value)

    def _check_value(self, kind: str, param: str, name: str, value: Any) -> None:
        if name in PATHS | URLS and not isinstance(value, str):
            raise InvalidRequest(f"{param}: expected a text", param=param)
        if not isinstance(value, str) or (name == "model" and kind in SERVED):
            return
        if name in URLS or "://" in value:
            self._check_url(param, value)
        elif name in PATHS or _looks_like_a_path(value):
            self._check_path(param, name, value)

    def _check_path(self, param: str, name: str, value: str) -> None:
        try:
            path = Path(value).expanduser()
            if value and (value in PACKAGED if name != "adapter" else adapter_folder(value) != path):
                return
            path = path.resolve()
        except (OSError, RuntimeError, ValueError) as error:
            raise InvalidRequest(f"{param}: expected a path: {error}", param=param) from error
        if not any(path.is_relative_to(folder) for folder in self._folders):
            folders = ", ".join(map(str, self._folders)) or "none"
            raise Forbidden(
                f"{param}: {value!r} is neither a packaged model nor inside scoring.allow_folders: {folders}",
                param=param,
            )

    def _check_url(self, param: str, value: str) -> None:
        if not any(_at_or_below(value, allowed) for allowed in self._urls):
            raise Forbidden(
                f"{param}: {public_text(value)!r} is not at or below one of scoring.allow_urls: "
                f"{public_text(', '.join(self._urls)) or 'none'}",
                param=param,
            )


def _leaves(value: Any, path: str, name: str = "") -> Iterator[tuple[str, str, Any]]:
    """Path, name and value of every option and inner value; a list or mapping comes before its items."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if isinstance(inner, Mapping | list | tuple):
                yield f"{path}.{key}", str(key), inner
            yield from _leaves(inner, f"{path}.{key}", str(key))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _leaves(inner, f"{path}.{index}", name)
    else:
        yield path, name, value


def _looks_like_a_path(value: str) -> bool:
    return (
        value.startswith(("/", "~", "\\", "file:")) or value[1:3] in (":\\", ":/") or ".." in value.split("/")
    )


def _at_or_below(value: str, allowed: str) -> bool:
    """Whether a URL has the scheme, host and port of `allowed`, and the path of `allowed` or one below it."""
    try:
        one, other = urlsplit(value), urlsplit(allowed)
        if _origin(one) != _origin(other):
            return False
    except ValueError:  # an invalid port
        return False
    odd = any(character.isspace() or not character.isprintable() or character == "\\" for character in value)
    path = unquote(one.path)
    if odd or one.username or one.password or one.query or one.fragment or "%" in path:
        return False
    if any(step in (".", "..") for step in path.split("/")):
        return False
    prefix = unquote(other.path).rstrip("/")
    return path.rstrip("/") == prefix or path.startswith(f"{prefix}/")


def _origin(url: SplitResult) -> tuple[str, str, int | None]:
    if url.scheme.lower() not in _PORTS or not url.hostname:
        raise ValueError(f"not the address of a server: {url.geturl()!r}")
    return url.scheme.lower(), url.hostname.lower(), url.port or _PORTS[url.scheme.lower()]
