"""Output of the laboratory's commands: files, tables on standard output, and the machine's description."""

from laserve.lab.output.files import check_writable, write_bytes, write_json, write_text, written
from laserve.lab.output.machine import machine
from laserve.lab.output.tables import Cell, Table, counted, discard, show

__all__ = [
    "Cell",
    "Table",
    "check_writable",
    "counted",
    "discard",
    "machine",
    "show",
    "write_bytes",
    "write_json",
    "write_text",
    "written",
]
