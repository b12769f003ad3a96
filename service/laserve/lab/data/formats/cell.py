"""Cells of tables that are text, and what else they may stand for."""

import json
import re
import warnings
from ast import literal_eval
from typing import Any

#: Lists and objects with lists as NumPy prints them, without commas or with array(..).
_NUMPY = re.compile(
    r"\[.*(['\"])\s+(['\"]).*\]"  # ['a' 'b']
    r"|\[\{'.*\}\s+\{'.*\}\s*\]"  # [{'role': 'user'} {'role': 'assistant'}]
    r"|\[?\{'.*: array\(.*\}\s*\]?",  # {'text': array(['a'], dtype=object)}, also in a list
    re.DOTALL,
)
_TRUTH = {"true": True, "false": False}


class Cell(str):
    """The text of one cell; a reader that expects another value asks for it."""

    __slots__ = ("_content",)

    _content: list[Any] | dict[str, Any] | None

    def plain(self) -> object:
        """The number or truth value that the text is, as JSON or as Python writes it; else the text."""
        text = self.strip()
        if (truth := _TRUTH.get(text.lower())) is not None:
            return truth
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return str(self)
        return value if isinstance(value, int | float) else str(self)

    def listed(self) -> list[Any] | dict[str, Any] | None:
        """The list or object that the text is, as JSON, or as Python writes it and pandas saves it."""
        if self.lstrip()[:1] not in ("[", "{"):
            return None
        if not hasattr(self, "_content"):  # the shapes that are tried ask again
            self._content = self._decoded()
        return self._content

    def _decoded(self) -> list[Any] | dict[str, Any] | None:
        for decode in (json.loads, _of_python):
            try:
                value = decode(self)
            except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
                continue
            if isinstance(value, list | dict) and (decode is json.loads or repr(value) == self.strip()):
                return value
        return None

    @property
    def is_numpy(self) -> bool:
        """Whether the text is a list as NumPy prints it, whose entries cannot be told apart for sure."""
        return _NUMPY.fullmatch(self) is not None and self.listed() is None


def _of_python(text: str) -> object:
    """The value of a literal of Python; the compiler's warnings about the text are nothing to a reader."""
    with warnings.catch_warnings(action="ignore"):
        return literal_eval(text)
