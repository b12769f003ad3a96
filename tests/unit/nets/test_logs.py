"""A log that was written once is read for good, and the same deeds write it again, while modules move."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from nets import logs
from nets.logs import DATABASE, SCRIPTS
from nets.parts import BanditState, main
from nets.play import Play

EACH_LOG = pytest.mark.parametrize("name", logs.recorded())


def assert_same(known: str, made: str, *, name: str) -> None:
    if differs := logs.difference(known, made, name=name):
        pytest.fail(
            f"{differs}\n\nA recorded log is never changed: see tests/golden/README.md", pytrace=False
        )


def test_every_script_has_a_recorded_log() -> None:
    assert set(logs.recorded()) >= set(SCRIPTS)


@EACH_LOG
async def test_a_recorded_log_has_the_same_digest_at_every_position(name: str, tmp_path: Path) -> None:
    expected = logs.expected(name)
    state, digests = await logs.folded(logs.copied(name, tmp_path))
    assert_same("\n".join(expected["digests"]), "\n".join(digests), name=f"{name}: digests from 1 on")
    assert logs.fingerprints(state) == expected["fingerprints"]


@EACH_LOG
async def test_events_keep_their_bytes_when_a_service_opens_the_log(name: str, tmp_path: Path) -> None:
    database = logs.copied(name, tmp_path)
    expected = logs.expected(name)["events"]
    assert logs.rows(database, "events") == expected
    await logs.folded(database)  # opens it to write, and so migrates it
    columns = expected[0].keys()
    kept = [{column: row[column] for column in columns} for row in logs.rows(database, "events")]
    assert_same(logs.readable(expected), logs.readable(kept), name=f"{name}: events")


@EACH_LOG
def test_a_recorded_snapshot_is_the_state_at_its_position(name: str, tmp_path: Path) -> None:
    expected, database = logs.expected(name), logs.copied(name, tmp_path)
    assert logs.snapshots(database) == expected["snapshots"]
    for row in logs.rows(database, "snapshots"):
        restored = BanditState.from_bytes(bytes.fromhex(row["payload"]))
        assert restored.digest() == row["digest"] == expected["digests"][row["position"] - 1]


@EACH_LOG
def test_a_recorded_log_is_verified_by_the_command(name: str, tmp_path: Path) -> None:
    logs.copied(name, tmp_path)
    digests = logs.expected(name)["digests"]
    env = {"LASERVE_DATA_DIR": str(tmp_path), "LASERVE_STORAGE__KIND": "sqlite"}
    done = CliRunner(env=env).invoke(main, ["state", "verify", "--profile", "fake"])
    assert done.exit_code == 0, done.output
    assert f"{len(digests)} events" in done.stdout
    assert f"digest: {digests[-1]}\n" in done.stdout


@EACH_LOG
async def test_a_service_starts_over_a_recorded_log_and_adds_nothing(name: str, tmp_path: Path) -> None:
    database, expected = logs.copied(name, tmp_path), logs.expected(name)
    play = Play(folder=tmp_path, now=expected["end"])
    async with play.service(**expected["settings"]) as client:
        policy = await client.policy()
    assert (policy["log_position"], policy["digest"]) == (len(expected["digests"]), expected["digests"][-1])
    assert len(logs.rows(database, "events")) == len(expected["events"])


@pytest.mark.parametrize("name", SCRIPTS)
async def test_a_script_writes_its_log_again_to_the_byte(name: str, tmp_path: Path) -> None:
    recorded = logs.copied(name, tmp_path / "recorded")
    await logs.played(name, tmp_path / "again", recorded)
    again = tmp_path / "again" / DATABASE
    for table in ("decisions", "events", "feedback"):
        known, made = (logs.readable(logs.rows(each, table)) for each in (recorded, again))
        assert_same(known, made, name=f"{name}: {table}")
    assert logs.snapshots(again) == logs.expected(name)["snapshots"]
