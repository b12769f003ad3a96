"""Archives of one or several members; one that is cut or damaged is never taken for a whole one."""

from pathlib import Path

import pytest

from data_files import COMPRESSIONS, json_lines, records, saved, values
from laserve.errors import InvalidRequest

ROWS = [{"prompt": f"question {number}", "chosen": "x" * number} for number in range(300)]
PACKED = {name: pack for name, pack in COMPRESSIONS.items() if name != "plain"}


@pytest.mark.parametrize("name", PACKED)
def test_an_archive_of_several_members_is_read_to_its_end(tmp_path: Path, name: str) -> None:
    parts = [PACKED[name](json_lines(rows).encode()) for rows in (ROWS[:100], ROWS[100:200], [], ROWS[200:])]
    assert values(saved(tmp_path, b"".join(parts))) == ROWS


@pytest.mark.parametrize("name", PACKED)
@pytest.mark.parametrize("members", [1, 2])
def test_an_archive_cut_by_a_byte_is_refused(tmp_path: Path, name: str, members: int) -> None:
    whole = PACKED[name](json_lines(ROWS).encode()) * members
    with pytest.raises(InvalidRequest, match=f"rows.jsonl: the {name} archive is cut"):
        records(saved(tmp_path, whole[:-1]))


@pytest.mark.parametrize("name", PACKED)
def test_a_changed_byte_is_noticed(tmp_path: Path, name: str) -> None:
    # zstandard's compressor for one text adds no checksum, so the header of its only block is changed
    damaged = bytearray(PACKED[name](json_lines(ROWS).encode()))
    at = 8 if name == "zstd" else len(damaged) // 2
    damaged[at] ^= 0xFF
    with pytest.raises(InvalidRequest, match=f"rows.jsonl: the {name} archive is (damaged|cut)"):
        records(saved(tmp_path, bytes(damaged)))
