"""`laserve bench faults` breaks a service of its own, and would tell if anything were lost."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from integration.operation import sql
from laserve.cli import main
from laserve.errors import LaserveError
from laserve.lab.bench.faults.load import Clients, Damage, Ledger, compare
from laserve.lab.bench.faults.run import judge
from laserve.lab.bench.faults.subject import Subject, settings_of
from laserve.lab.bench.faults.trial import FAULTS, Trial

SOUND = {"lost_decisions": 0, "lost_feedback": 0, "doubled": 0}
FAKE = ["--profile", "fake"]


def bench(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["bench", "faults", *FAKE, *arguments])


def test_work_is_acknowledged_under_every_fault_and_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    faults = ["arm-raises", "server-killed"]
    chosen = [part for name in (*faults, "engine-killed") for part in ("--fault", name)]
    done = bench(*chosen, "--repetitions", "1", "--json", str(out))
    assert done.exit_code == 0, done.output
    figures: dict[str, Any] = json.loads(out.read_text())
    assert "left out" in done.stderr
    assert figures["left_out"] == ["engine-killed"]
    assert sorted(figures["faults"]) == faults
    for name, result in figures["faults"].items():
        assert name in done.stdout
        assert result.items() >= (SOUND | {"repetitions": 1}).items()
        assert result["in_flight"] >= 1
        assert result["decisions"] >= result["feedback"] >= 2 * figures["clients"]
        assert result["healthz_max_ms"] > 0
    # A new process needs its time; an arm that fails never makes the service unready.
    assert figures["faults"]["server-killed"]["ready_max_s"] > figures["faults"]["arm-raises"]["ready_max_s"]


def test_a_fault_that_there_is_not_is_refused_by_name() -> None:
    done = bench("--fault", "earthquake")
    assert done.exit_code == 1
    assert "no 'earthquake'" in done.stderr
    assert all(name in done.stderr for name in FAULTS)


def test_faults_that_the_settings_do_not_allow_are_refused_when_nothing_is_left() -> None:
    done = bench("--fault", "engine-killed")
    assert done.exit_code == 1
    assert "generation.kind fake" in done.stderr


async def test_what_the_database_loses_or_doubles_is_found(tmp_path: Path) -> None:
    subject = Subject(settings_of(None, "fake", tmp_path), FAKE, tmp_path)
    clients = Clients(connected=lambda: subject.client, count=2)
    try:
        await subject.start()
        async with clients.working():
            for _ in range(2):
                await Trial(subject=subject, clients=clients).progress()
        ledger = clients.ledger
        assert compare(ledger, await subject.stored(ledger.decisions)) == Damage(**SOUND)

        untold, gone, twice = sorted(ledger.feedback)[:3]
        sql(tmp_path, "DELETE FROM feedback WHERE decision_id IN (?, ?)", untold, gone)
        sql(tmp_path, "DELETE FROM decisions WHERE id = ?", gone)
        columns = [row[1] for row in sql(tmp_path, "PRAGMA table_info(feedback)")]
        fresh = {"position": "position + 100000", "identity": "identity || ' again'"}
        assert fresh.keys() <= set(columns)
        values = ", ".join(fresh.get(column, column) for column in columns)
        sql(tmp_path, f"INSERT INTO feedback SELECT {values} FROM feedback WHERE decision_id = ?", twice)
        damage = compare(ledger, await subject.stored(ledger.decisions))
        assert damage == Damage(lost_decisions=1, lost_feedback=2, doubled=1)
        await subject.end(signal.SIGTERM)
    finally:
        await subject.close()


def test_feedback_that_was_never_acknowledged_may_be_there_or_not() -> None:
    ledger = Ledger(decisions={"a", "b", "c"}, feedback={"a"})
    assert compare(ledger, {"a": 1, "b": 1, "c": 0}) == Damage(**SOUND)


@pytest.mark.parametrize("kind", SOUND)
def test_a_fault_that_lost_or_doubled_anything_fails_the_run_by_name(kind: str) -> None:
    judge({"disk-full": SOUND})
    with pytest.raises(LaserveError, match=f"disk-full: 1 {kind}"):
        judge({"clients-gone": SOUND, "disk-full": SOUND | {kind: 1}})
