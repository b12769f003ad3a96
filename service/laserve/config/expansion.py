"""Variables of the environment in a text: ``${NAME}``, ``${NAME:-default}``, and ``$$`` for a dollar."""

import os
import re

_DOLLAR = re.compile(r"\$(?:\$|\{([^}]*)(\}?))")
#: The inside of the braces; the default also stands in for an empty variable.
_VARIABLE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)


def expand(text: str) -> str:
    """The text with the variables' values; an empty variable is as good as none.

    Raises:
        ValueError: a variable has neither a value nor a default, or has another form; the message names
            the variable and shows no value.
    """
    return _DOLLAR.sub(_value, text)


def _value(dollar: re.Match[str]) -> str:
    inside, closed = dollar.groups()
    if inside is None:
        return "$"
    variable = _VARIABLE.fullmatch(inside)
    if not closed or variable is None or "${" in inside:
        raise ValueError("write ${NAME} or ${NAME:-default} for a variable, and $$ for a dollar")
    name, default = variable.groups()
    value = os.environ.get(name) or default
    if value is None:
        raise ValueError(f"the variable {name} is not set or empty; set it, or write ${{{name}:-default}}")
    return value
