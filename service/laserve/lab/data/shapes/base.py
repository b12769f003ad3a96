"""Protocol of a shape: how the records of one kind of data set are recognised and read as rows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from laserve.lab.data.row import Row

#: One record of a file: column -> value, as JSON values (text, int, float, bool, None, list, dict).
Values = Mapping[str, Any]


class BadRecord(ValueError):
    """A record breaks its shape; the message names the column and what was expected of it.

    Args:
        column: the column; empty for what is wrong with the record as a whole.
    """

    def __init__(self, column: str, reason: str) -> None:
        super().__init__(f"{column}: {reason}" if column else reason)


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """A well-formed record that no command can use."""

    #: Reason, equal for all records that are left out for it, since it is counted.
    reason: str


class Unusable(Exception):
    """A well-formed record that no command can use, as a part of it shows; the message is the reason.

    A reader raises it where it cannot return `LeftOut`; both are counted alike.
    """


@dataclass(frozen=True, kw_only=True)
class Location:
    """File and position of a record, for its row."""

    #: Name of the file, unique among the files of one command.
    file: str
    #: Position in the file, as messages name it: ``line 7``.
    position: str

    @property
    def id(self) -> str:
        """Id of a row whose record has none: the number of its line, or its path."""
        return self.position.rpartition(" ")[2]


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The columns of one kind of data set, and its reader."""

    #: Name of the data set or of the form, as people call it: ``HelpSteer 3``.
    name: str
    #: Columns and their contents in words, for messages: ``prompt, chosen and rejected``.
    expected: str
    #: Whether a record has this shape, by its columns and the types of their values; never raises.
    matches: Callable[[Values], bool]
    #: Rows of one record: one as a rule, several for steps. Raises `BadRecord` or `Unusable`.
    read: Callable[[Values, Location], Row | LeftOut | Sequence[Row]]
    #: Whether records hold one answer each, so that rows with equal requests are joined to one.
    joined: bool = False
    #: Columns of a record, with content, that the reader passes over, for shapes that any record may have.
    unread: Callable[[Values], Sequence[str]] = lambda values: ()

    def rows(self, values: Values, location: Location) -> list[Row] | LeftOut:
        """Rows of one record, or why it is left out. Raises BadRecord."""
        try:
            made = self.read(values, location)
        except Unusable as error:
            return LeftOut(reason=str(error))
        return made if isinstance(made, LeftOut) else [made] if isinstance(made, Row) else list(made)
