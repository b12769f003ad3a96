"""Recorded logs: a database that a service wrote, and beside it what must be read in it for good."""

import asyncio
import difflib
import json
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from nets.parts import BanditState, SqlStore
from nets.play import Play
from nets.scripts import SCRIPTS

FOLDER = Path(__file__).parents[1] / "golden" / "logs"
#: A service's database in its data folder.
DATABASE = "laserve.db"
_ORDER = {
    "events": "position",
    "feedback": "position",
    "snapshots": "position",
    "decisions": "id",
}


def recorded() -> list[str]:
    """Names of the recorded logs."""
    return sorted(path.stem for path in FOLDER.glob("*.db"))


def copied(name: str, folder: Path) -> Path:
    """A copy of a recorded log, as the database of a data folder."""
    folder.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy(FOLDER / f"{name}.db", folder / DATABASE))


def expected(name: str) -> dict[str, Any]:
    """What must be read in a recorded log.

    Returns:
        ``settings``: those of the service that wrote last, and ``end``, its clock then;
        ``fingerprints``: at the end of the log;
        ``events``: rows as they are stored;
        ``digests``: of the state at positions 1, 2, 3 ...;
        ``snapshots``: position -> digest.
    """
    told: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return told


def rows(database: Path, table: str) -> list[dict[str, Any]]:
    """All rows of a table, in the order of the log or of ids; bytes in hex."""
    with closing(sqlite3.connect(database)) as connection:
        connection.row_factory = sqlite3.Row
        found = connection.execute(f"SELECT * FROM {table} ORDER BY {_ORDER[table]}").fetchall()
    return [
        {name: row[name].hex() if isinstance(row[name], bytes) else row[name] for name in row.keys()}  # noqa: SIM118
        for row in found
    ]


def snapshots(database: Path) -> dict[str, str]:
    """Position -> digest."""
    return {str(row["position"]): row["digest"] for row in rows(database, "snapshots")}


async def folded(database: Path) -> tuple[BanditState, list[str]]:
    """The state at the end of a log, from nothing, and the digests at positions 1, 2, 3 ..."""
    store, state, digests = SqlStore(database), BanditState(), []
    await store.open()
    try:
        async for event in store.events():
            state.apply(event)
            digests.append(state.digest())
    finally:
        await store.close()
    return state, digests


def fingerprints(state: BanditState) -> dict[str, Any]:
    """All that a state knows of what the service works with."""
    return {
        "context": {
            name: state.parameters["settings"][name] for name in ("context.encoder", "context.features")
        },
        "shared": dict(state.fingerprints),
        "arms": {name: arm.fingerprint for name, arm in state.arms.items()},
    }


async def played(name: str, folder: Path, recorded: Path | None = None) -> Play:
    """The script of a log, played in a folder; see `Play`.

    Args:
        recorded: database of the recorded log, where this is a repetition.
    """
    folder.mkdir(parents=True, exist_ok=True)
    store = None if recorded is None else SqlStore(recorded)
    play = Play(folder=folder, recorded=store)
    if store is None:
        await SCRIPTS[name](play)
        return play
    await store.open()
    try:
        await SCRIPTS[name](play)
    finally:
        await store.close()
    return play


def record(name: str) -> None:
    """Record the log of a script.

    Raises:
        FileExistsError: there is a log of that name.
    """
    with tempfile.TemporaryDirectory() as folder:
        play = asyncio.run(played(name, Path(folder)))
        add(name, Path(folder) / DATABASE, settings=play.settings, end=play.now)


def add(name: str, database: Path, *, settings: Mapping[str, Any], end: float | None = None) -> None:
    """Keep a copy of a database that no service holds, with what is read in it now.

    Args:
        settings: sections by name, with which a service of the fake profile starts over it.
        end: the clock of that service in Unix seconds; by default the time of the last event.

    Raises:
        FileExistsError: there is a log of that name.
    """
    target = FOLDER / f"{name}.db"
    if target.exists():
        raise FileExistsError(f"{target} is there, and a recorded log is never changed; give another name")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copy(database, folder))
        _into_one_file(copy)
        shutil.copyfile(copy, target)
        events = rows(copy, "events")
        state, digests = asyncio.run(folded(copy))
        told = {
            "settings": settings,
            "end": events[-1]["created_at"] if end is None else end,
            "fingerprints": fingerprints(state),
            "events": events,
            "digests": digests,
            "snapshots": snapshots(copy),
        }
    (FOLDER / f"{name}.json").write_text(pretty(told), encoding="utf-8")


def pretty(value: Any) -> str:
    """JSON to be kept: a line for each value, names as they come."""
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def difference(known: str, made: str, *, name: str) -> str:
    """A unified diff of two texts, empty where they are the same."""
    lines = difflib.unified_diff(
        known.splitlines(), made.splitlines(), f"{name} as recorded", f"{name} by this code", lineterm=""
    )
    return "\n".join(lines) or ("" if known == made else f"{name}: the ends of lines differ")


def readable(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as lines for a diff, with JSON columns spread out beside their bytes."""
    return "\n".join(line for row in rows for line in _lines(row))


def _lines(row: Mapping[str, Any]) -> Iterator[str]:
    for name, value in row.items():
        yield f"{name}: {value!r}"
        if isinstance(value, str) and value.startswith("{"):
            yield json.dumps(json.loads(value), indent=1, ensure_ascii=False)


def _into_one_file(database: Path) -> None:
    """Without a write-ahead log beside it, and no larger than it must be."""
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("VACUUM")
