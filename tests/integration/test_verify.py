"""`laserve state verify` finds what does not hold in a log, and says where."""

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from integration.operation import (
    FAKE,
    Ended,
    assert_one_line,
    digest_in,
    on_disk,
    refused,
    sql,
    verify,
    verify_here,
)
from laserve.storage import rows
from laserve.types import Event, Update
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


def assert_refused(folder: Path, message: str, *, by: Callable[[Path], Ended] = verify_here) -> None:
    """Exit status 1, and one line that tells where."""
    done = by(folder)
    assert (done.status, done.out) == (1, "")
    assert re.fullmatch(rf"laserve: .*{message}.*\n", done.err), done.err


def newest(folder: Path, index: int = 0) -> int:
    """Position of a snapshot, the newest first."""
    return int(sql(folder, "SELECT position FROM snapshots ORDER BY position DESC")[index][0])


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


def poison(folder: Path, event: Event) -> int:
    """Append an event with a right checksum, as earlier versions did without folding it first."""
    [(position, previous)] = sql(
        folder, "SELECT position, checksum FROM events ORDER BY position DESC LIMIT 1"
    )
    row = rows.event_row(replace(event, position=position + 1), previous)
    statement = f"INSERT INTO events ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})"
    sql(folder, statement, *row.values())
    return int(position + 1)


TEACHING = Event(
    kind="feedback",
    created_at=1.0,
    decision_id="d-1",
    x=np.ones(58),
    updates=(Update(arm="loglik", reward=0.5),),
    body={
        "kind": "reward",
        "played": "loglik",
        "drawn": "loglik",
        "propensity": 0.5,
        "reward": 0.5,
        "learned": True,
        "ordinal": 21,
    },
)


@pytest.mark.parametrize(
    "event",
    [
        replace(TEACHING, x=np.ones(8)),
        replace(TEACHING, x=None),
        replace(TEACHING, body={}),
        replace(TEACHING, body=TEACHING.body | {"ordinal": 6}),
        replace(TEACHING, body=TEACHING.body | {"propensity": "much"}),
        replace(TEACHING, updates=(Update(arm="unknown", reward=0.5),)),
        Event(kind="arm", created_at=1.0),
        Event(kind="from the future", created_at=1.0),
    ],
    ids=["context", "no context", "no body", "number", "propensity", "arm", "no name", "kind"],
)
def test_a_log_that_was_poisoned_is_refused_by_the_event_and_verifies_up_to_it(
    copy: Path, event: Event
) -> None:
    digest = digest_in(verify_here(copy))
    position = poison(copy, event)
    assert position == LAST + 1
    assert_refused(copy, rf"\bevent {position}\b")
    done = verify_here(copy, "--to", str(LAST))
    assert (done.status, digest_in(done)) == (0, digest)


def test_neither_a_service_starts_nor_verify_fails_with_a_traceback_on_a_poisoned_log(copy: Path) -> None:
    position = poison(copy, replace(TEACHING, x=np.ones(8)))
    assert_refused(copy, rf"\bevent {position}\b", by=verify)
    said = refused(copy / "log", env=on_disk(copy, policy__learn_from="reward"))
    assert_one_line(said, f"event {position} ")


def test_a_part_of_the_log_is_verified_by_itself(copy: Path) -> None:
    digests = {}
    for to in range(1, LAST + 1):
        done = verify_here(copy, "--to", str(to))
        assert (done.status, done.err) == (0, "")
        feedback = max(to - FIRST + 1, 0)
        assert f": the first {to} events, {feedback} of them feedback, verified" in done.out
        digests[to] = digest_in(done)
        newest_within = f"at {newest(copy)}, equal" if to >= newest(copy) else "none"
        assert f"snapshot: {newest_within}" in done.out
    assert len(set(digests.values())) == LAST
    assert digests[LAST] == digest_in(verify_here(copy))
    for position in (newest(copy, 1), newest(copy)):
        assert sql(copy, "SELECT digest FROM snapshots WHERE position = ?", position) == [
            (digests[position],)
        ]


def test_what_is_wrong_behind_a_part_of_the_log_does_not_matter_to_it(copy: Path) -> None:
    sql(copy, "UPDATE events SET payload = replace(payload, 'reward', 'rewarD') WHERE position = 12")
    change_feedback(copy, 15, "reward = NULL")
    sql(copy, "DELETE FROM events WHERE position = ?", LAST)
    assert verify_here(copy, "--to", "11").status == 0
    for to in (12, 13, LAST):
        done = verify_here(copy, "--to", str(to))
        assert (done.status, done.out) == (1, "")
        assert_one_line(done.err, "event 12 ")


def test_what_is_wrong_within_a_part_of_the_log_is_named(copy: Path) -> None:
    change_feedback(copy, 12, "reward = NULL")
    assert verify_here(copy, "--to", "11").status == 0
    assert_one_line(verify_here(copy, "--to", "12").err, "event 12")
    sql(copy, "DELETE FROM events WHERE position = ?", LAST)
    assert_one_line(verify_here(copy, "--to", str(LAST)).err, f"event {LAST} was acknowledged")


def test_a_part_that_is_longer_than_the_log_is_refused_by_name(copy: Path) -> None:
    done = verify_here(copy, "--to", str(LAST + 1))
    assert (done.status, done.out) == (1, "")
    assert_one_line(done.err, "laserve: to: ", str(LAST + 1), f"ends at {LAST}")
    assert verify_here(copy, "--to", "0").status == 2
