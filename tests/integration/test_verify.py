"""`laserve state verify` finds what does not hold in a log, and says where."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from integration.operation import FAKE, Ended, digest_in, on_disk, sql, verify, verify_here
from processes import launch, serving

FEEDBACK = 23
#: The log starts with one event for the features and one for each of the profile's three arms.
FIRST = 5
LAST = FIRST + FEEDBACK - 1


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a service that has answered, learned, been corrected and stopped."""
    folder = tmp_path_factory.mktemp("sound")
    env = on_disk(folder, storage__snapshot_every="5", policy__learn_from="reward")
    with serving(folder / "log", *FAKE, env=env) as server:
        for number in range(20):
            question = {"question": f"where is river {number}?", "n": 4}
            decision_id = server.client.post("/generate", json=question).json()["decision_id"]
            feedback = {"decision_id": decision_id, "reward": number / 20}
            assert server.client.post("/feedback", json=feedback).json()["learned"]
            if number % 9 == 0:
                corrected = server.client.post(
                    "/feedback",
                    json=feedback | {"reward": 0.015625},
                    headers={"Idempotency-Key": f"again {number}"},
                )
                assert corrected.json()["learned"]
    assert sql(folder, "SELECT max(position) FROM events") == [(LAST,)]
    assert len(sql(folder, "SELECT position FROM snapshots")) >= 3
    return folder


@pytest.fixture
def copy(sound: Path, tmp_path: Path) -> Path:
    """A copy of it to spoil."""
    shutil.copy(sound / "laserve.db", tmp_path)
    return tmp_path


def assert_refused(folder: Path, told: str, *, by: Callable[[Path], Ended] = verify_here) -> None:
    """Exit status 1, and one line that tells where."""
    done = by(folder)
    assert (done.status, done.out) == (1, "")
    assert re.fullmatch(rf"laserve: .*{told}.*\n", done.err), done.err


def newest(folder: Path, place: int = 0) -> int:
    """Position of a snapshot, the newest first."""
    return int(sql(folder, "SELECT position FROM snapshots ORDER BY position DESC")[place][0])


def test_a_sound_log_is_told_by_its_counts_its_snapshot_and_its_digest(copy: Path) -> None:
    done = verify(copy)
    assert (done.status, done.err) == (0, "")
    assert f"{LAST} events, {FEEDBACK} of them feedback, verified" in done.out
    assert f"snapshot: at {newest(copy)}, equal" in done.out
    assert re.search(r"^digest: [0-9a-f]{64}$", done.out, re.MULTILINE)


def test_verifying_changes_nothing(copy: Path) -> None:
    before = [
        sql(copy, f"SELECT * FROM {table}") for table in ("events", "feedback", "snapshots", "decisions")
    ]
    first, second = verify_here(copy), verify_here(copy)
    assert first == second
    after = [
        sql(copy, f"SELECT * FROM {table}") for table in ("events", "feedback", "snapshots", "decisions")
    ]
    assert after == before


def test_a_log_is_verified_while_a_service_goes_on_writing_it(copy: Path) -> None:
    with serving(copy / "log", *FAKE, env=on_disk(copy, policy__learn_from="reward")) as server:
        decision_id = server.client.post("/generate", json={"prompt": "Once"}).json()["decision_id"]
        server.client.post("/feedback", json={"decision_id": decision_id, "reward": 1})
        assert digest_in(verify(copy)) == server.client.get("/policy").json()["digest"]
        assert server.client.post("/generate", json={"prompt": "Once"}).status_code == 200


def test_where_there_is_no_log_none_is_made(tmp_path: Path) -> None:
    assert_refused(tmp_path / "nowhere", "data_dir")
    assert not (tmp_path / "nowhere").exists()


def change_event(folder: Path, position: int) -> None:
    """Another reward in the payload of one event."""
    [(payload,)] = sql(folder, "SELECT payload FROM events WHERE position = ?", position)
    reward = re.search(r'"reward":([0-9.]+)', payload)
    assert reward
    changed = payload.replace(reward[1], "0.984375")
    sql(folder, "UPDATE events SET payload = ? WHERE position = ?", changed, position)


def change_feedback(folder: Path, position: int, change: str = "reward = reward + 0.0009765625") -> None:
    """Another reward, or whatever the change says, in the row of one feedback."""
    assert sql(folder, f"UPDATE feedback SET {change} WHERE position = ? RETURNING 1", position) == [(1,)]


@pytest.mark.parametrize("change", [change_event, change_feedback])
def test_the_command_ends_with_status_one_after_one_changed_reward(
    copy: Path, change: Callable[[Path, int], None]
) -> None:
    change(copy, 12)
    assert_refused(copy, r"\bevent 12\b", by=verify)


@pytest.mark.parametrize("position", [FIRST, 12, LAST])
def test_one_changed_reward_of_an_event_is_named_by_its_position(copy: Path, position: int) -> None:
    change_event(copy, position)
    assert_refused(copy, rf"\bevent {position}\b")


@pytest.mark.parametrize("position", [FIRST, 12, LAST])
@pytest.mark.parametrize(
    "change",
    ["reward = reward + 0.0009765625", "reward = NULL", "learned = NOT learned", "decision_id = 'other'"],
)
def test_one_changed_feedback_is_named_by_the_position_of_its_event(
    copy: Path, position: int, change: str
) -> None:
    change_feedback(copy, position, change)
    assert_refused(copy, rf"\bevent {position}\b")


def test_a_feedback_that_is_gone_is_named_by_the_position_of_its_event(copy: Path) -> None:
    sql(copy, "DELETE FROM feedback WHERE position = 12")
    assert_refused(copy, r"\bevent 12\b")


@pytest.mark.parametrize("position", [1, 3, 12])
def test_an_event_that_is_gone_is_named_by_its_position(copy: Path, position: int) -> None:
    sql(copy, "DELETE FROM events WHERE position = ?", position)
    assert_refused(copy, rf"\bevent {position}\b")


def test_the_last_events_cannot_be_cut_off_unnoticed(copy: Path) -> None:
    sql(copy, "DELETE FROM events WHERE position = ?", LAST)
    assert_refused(copy, rf"\bevent {LAST}\b")


def test_an_event_that_was_slipped_in_is_noticed(copy: Path) -> None:
    sql(
        copy,
        "INSERT INTO events SELECT position + 1, kind, created_at, decision_id, x, payload, checksum "
        "FROM events WHERE position = ?",
        LAST,
    )
    assert_refused(copy, rf"\bevent {LAST + 1}\b")


def test_a_torn_snapshot_is_passed_over_for_the_one_before(copy: Path) -> None:
    digest, before = digest_in(verify_here(copy)), newest(copy, 1)
    half = "CAST(substr(payload, 1, length(payload) / 2) AS BLOB)"
    sql(copy, f"UPDATE snapshots SET payload = {half} WHERE position = ?", newest(copy))
    done = verify_here(copy)
    assert done.status == 0, done.err
    assert f"snapshot: at {before}, equal" in done.out
    assert digest_in(done) == digest


def test_without_a_whole_snapshot_the_log_alone_is_verified(copy: Path) -> None:
    digest = digest_in(verify_here(copy))
    sql(copy, "UPDATE snapshots SET payload = x'00'")
    done = verify_here(copy)
    assert done.status == 0, done.err
    assert "snapshot: none" in done.out
    assert digest_in(done) == digest


def test_a_whole_snapshot_of_another_state_is_named_by_its_position(copy: Path) -> None:
    # The state of an earlier position under the newest one's name: every checksum in the row holds.
    position, earlier = newest(copy), newest(copy, 2)
    [(payload, checksum, digest)] = sql(
        copy, "SELECT payload, checksum, digest FROM snapshots WHERE position = ?", earlier
    )
    sql(
        copy,
        "UPDATE snapshots SET payload = ?, checksum = ?, digest = ? WHERE position = ?",
        payload,
        checksum,
        digest,
        position,
    )
    assert_refused(copy, rf"\bsnapshot at {position}\b")


def test_a_snapshot_whose_digest_was_changed_is_named_by_its_position(copy: Path) -> None:
    position = newest(copy)
    sql(copy, "UPDATE snapshots SET digest = 'other' WHERE position = ?", position)
    assert_refused(copy, rf"\bsnapshot at {position}\b")


def test_a_service_does_not_start_on_an_altered_log(copy: Path) -> None:
    assert newest(copy) < LAST
    sql(copy, "UPDATE events SET payload = replace(payload, 'reward', 'rewarD') WHERE position = ?", LAST)
    server = launch(copy / "log", *FAKE, env=on_disk(copy, policy__learn_from="reward"))
    assert server.process.wait(60) == 1
    assert re.fullmatch(rf"laserve: .*\bevent {LAST}\b.*\n", server.output())
    server.client.close()


def test_a_torn_snapshot_does_not_keep_a_service_from_starting(copy: Path) -> None:
    digest = digest_in(verify_here(copy))
    sql(copy, "UPDATE snapshots SET payload = x'00' WHERE position = ?", newest(copy))
    with serving(copy / "log", *FAKE, env=on_disk(copy, policy__learn_from="reward")) as server:
        policy = server.client.get("/policy").json()
    assert (policy["log_position"], policy["digest"]) == (LAST, digest)
