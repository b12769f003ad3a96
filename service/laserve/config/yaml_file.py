"""The YAML file of settings: no name twice, and variables of the environment in its values.

Scalars are read as in YAML 1.1, but dates, numbers in base 60 and octal numbers that begin with 0 are texts,
and `1e-3` is a number. An unquoted value keeps its text, for the settings that ask for one.
"""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from yaml import MappingNode, Node, ScalarNode, SequenceNode
from yaml.composer import ComposerError

from laserve.config.expansion import expand
from laserve.config.section import Plain, Steps, dotted
from laserve.errors import ConfigError

_TAG = "tag:yaml.org,2002:"
_TEXTS = tuple(_TAG + name for name in ("str", "merge", "value"))
_TYPED = tuple(_TAG + name for name in ("bool", "int", "float"))
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9_]*|0x[0-9a-fA-F_]+|0b[01_]+)$")
_FLOAT = re.compile(
    r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?"
    r"|[0-9][0-9_]*[eE][-+]?[0-9]+|\.(?:inf|Inf|INF))$|\.(?:nan|NaN|NAN)$"
)
#: Part of a problem as PyYAML words it -> the remedy.
_REMEDIES = {
    "'\\t'": "a tab is here; write spaces",
    "undefined": "put a text that begins with * or ! in quotes",
    "anchor without a value": "put a text that begins with & in quotes",
    "cannot start any token": "put a text that begins with @, % or ` in quotes",
    "'<stream end>'": "a bracket is not closed; put a text that begins with one in quotes",
    "expected the node content": "put a text that begins with a comma or a bracket in quotes",
    "indentation indicators": "put a text that begins with > or | in quotes",
    "unknown escape": "put a text with \\ in single quotes",
    "mapping values are not allowed": 'put a text with ": " in quotes; indent names of a mapping alike',
    "sequence entries are not allowed": "begin a list below its name, with each - in one column",
    "expected <block end>": "begin all names of a mapping, and each - of a list, in one column",
    "could not find expected ':'": "write a name, a colon, a space and a value",
    "'<document start>'": "write names of settings, each with a colon, a space and a value",
    "unexpected end of stream": "a quote is not closed",
    "for merging": "write after << the alias (*) of a mapping",
    "got '{'": 'inside { } and [ ], put a text with { in quotes, such as "${NAME}"',
    "another document": "begins a second document; write one",
}


class _Loader(yaml.SafeLoader):
    """PyYAML's loader with the scalars of this module, which refuses a text that it takes for an anchor."""

    def compose_scalar_node(self, anchor: Any) -> Any:
        node = super().compose_scalar_node(anchor)
        if anchor is not None and node.style is None and not node.value:
            raise ComposerError(None, None, "anchor without a value", node.start_mark)
        return node


_Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in forms if tag in (f"{_TAG}bool", f"{_TAG}null", f"{_TAG}merge")]
    for first, forms in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(f"{_TAG}int", _INT, list("-+0123456789"))
_Loader.add_implicit_resolver(f"{_TAG}float", _FLOAT, list("-+.0123456789"))


@dataclass(frozen=True, kw_only=True)
class SettingsFile:
    """The content of a file of settings, and the lines and columns of its settings."""

    path: Path = Path()
    content: dict[str, Any] = field(default_factory=dict)
    positions: dict[Steps, str] = field(default_factory=dict)

    def position(self, steps: Steps) -> str | None:
        """File, line and column of a setting, or of the nearest one around it; None outside of the file."""
        for length in range(len(steps), 0, -1):
            if steps[:length] in self.positions:
                return f"{self.path}, {self.positions[steps[:length]]}"
        return None


def read(path: Path) -> SettingsFile:
    """The settings of a file.

    Raises:
        ConfigError: the file cannot be read, is no mapping, has a name twice, or needs a variable that is not
            set.
    """
    try:
        loader = _Loader(_as_yaml(path.read_bytes()))
        root = loader.get_single_node()
        if root is None or root.tag == f"{_TAG}null":
            return SettingsFile(path=path)
        reader = _Reader(loader, path)
        if not isinstance(root, MappingNode):
            raise reader.refused("--config", root, f"write a mapping of settings, not {_noun(root)}")
        reader.check(root, ())
        return SettingsFile(path=path, content=reader.value(root, ()), positions=reader.positions)
    except OSError as error:
        raise ConfigError.at("--config", f"cannot read {path}: {error.strerror}") from error
    except yaml.MarkedYAMLError as error:  # the error's text quotes the line, which may hold a secret
        mark = error.problem_mark
        position = f", {_position(mark)}" if mark else ""
        raise ConfigError.at("--config", f"{path}{position}: {_problem(error.problem or '')}") from None
    except yaml.reader.ReaderError as error:
        what = f"has the character #x{error.character:04x}, which YAML does not allow"
        if error.encoding != "unicode":
            what = "is neither UTF-8 nor UTF-16; save it as UTF-8"
        raise ConfigError.at("--config", f"{path} {what}") from None
    except RecursionError:
        raise ConfigError.at("--config", f"{path} is nested too deeply") from None


class _Reader:
    """The values of nodes of one file."""

    def __init__(self, loader: _Loader, path: Path) -> None:
        self._loader = loader
        self._path = path
        self._checked: set[int] = set()
        #: Values of the mappings and lists by their nodes, which aliases share; None while one is read.
        self._made: dict[int, Any] = {}
        self.positions: dict[Steps, str] = {}

    def refused(self, setting: str, node: Node, reason: str) -> ConfigError:
        return ConfigError.at(setting, f"{reason} ({self._path}, {_position(node.start_mark)})")

    def check(self, node: Node, steps: Steps) -> None:
        """Refuse names that are given twice in a mapping at any depth, before merge keys join mappings."""
        if id(node) in self._checked:
            return
        self._checked.add(id(node))
        if isinstance(node, SequenceNode):
            for index, item in enumerate(node.value):
                self.check(item, (*steps, index))
        if not isinstance(node, MappingNode):
            return
        lines: dict[str, int] = {}
        for key, value in node.value:
            name, line = self._name(key, steps), key.start_mark.line + 1
            if name in lines:
                raise ConfigError.at(
                    dotted((*steps, name)),
                    f"is given twice in {self._path}, in lines {lines[name]} and {line}; write it once",
                )
            lines[name] = line
            self.check(value, (*steps, name))

    def value(self, node: Node, steps: Steps) -> Any:
        if isinstance(node, ScalarNode):
            return self._scalar(node, steps)
        if id(node) in self._made:
            if self._made[id(node)] is None:
                raise self.refused(dotted(steps), node, "contains itself by an alias (*)")
            return self._made[id(node)]
        self._made[id(node)] = None
        made: Any = self._mapping(node, steps) if isinstance(node, MappingNode) else self._list(node, steps)
        self._made[id(node)] = made
        return made

    def _list(self, node: Node, steps: Steps) -> list[Any]:
        values = []
        for index, item in enumerate(node.value):
            inner = (*steps, index)
            self.positions[inner] = _position(item.start_mark)
            values.append(self.value(item, inner))
        return values

    def _mapping(self, node: MappingNode, steps: Steps) -> dict[str, Any]:
        self._loader.flatten_mapping(node)
        values = {}
        for key, value in node.value:
            name = self._name(key, steps)
            self.positions[(*steps, name)] = _position(key.start_mark)
            values[name] = self.value(value, (*steps, name))
        return values

    def _name(self, key: Node, steps: Steps) -> str:
        setting = dotted(steps) or "--config"
        if not isinstance(key, ScalarNode):
            raise self.refused(setting, key, "put a text that begins with a bracket in quotes")
        if not key.value:
            raise self.refused(setting, key, "write a name before the colon")
        return _joined(key.value)

    def _scalar(self, node: ScalarNode, steps: Steps) -> Any:
        tag, text = node.tag, node.value
        if tag in _TEXTS and "$" in text:
            try:
                text = expand(text)
            except ValueError as error:
                raise self.refused(dotted(steps), node, str(error)) from None
            if node.style is None:  # unquoted, so that a number in a variable is a number
                tag = self._loader.resolve(ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
        if tag == f"{_TAG}null":
            return None
        if tag in _TYPED:
            try:
                return Plain.of(text, self._loader.construct_object(ScalarNode(tag, text)))
            except (ValueError, LookupError):  # the file has this tag itself, or a number of 5000 digits
                tagged = not _INT.match(text)
                reason = "does not fit its tag; leave the tag out" if tagged else "has too many digits"
                raise self.refused(dotted(steps), node, reason) from None
        if tag not in _TEXTS:
            raise self.refused(dotted(steps), node, "put a text that begins with ! in quotes")
        return _joined(text)


def _joined(text: str) -> str:
    """The text with the halves of a character joined, which JSON escapes one by one."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _as_yaml(data: bytes) -> bytes | str:
    """The file's content; tabs that indent JSON, which YAML refuses, are spaces."""
    if b"\t" not in data:
        return data
    try:
        json.loads(data)
        return data.decode(json.detect_encoding(data)).replace("\t", " ")
    except ValueError:
        return data


def _problem(problem: str) -> str:
    """The remedy of one of PyYAML's problems; no sentence quotes the file."""
    for part, sentence in _REMEDIES.items():
        if part in problem:
            return sentence
    return f"is not YAML: {problem}"


def _position(mark: Any) -> str:
    return f"line {mark.line + 1}, column {mark.column + 1}"


def _noun(node: Node) -> str:
    return "a list" if isinstance(node, SequenceNode) else "a text"
