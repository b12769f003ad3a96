"""Default rewards that fall due around a restart, kill -9 or an upgrade are each learned once."""

import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from alembic import command
from alembic.config import Config

from integration.operation import FAKE, on_disk, sql, verified_digest
from processes import Server, launch, serving, wait_ready

ARMS = 3
DEFAULT_REWARD = 0.25
DEFAULTS = "SELECT count(*) FROM feedback WHERE identity LIKE 'default:%'"
PENDING = "SELECT count(*) FROM decisions WHERE due_at IS NOT NULL"


def waiting(folder: Path, wait_s: float) -> dict[str, str]:
    """Environment of a server that learns a default after so many seconds."""
    return on_disk(
        folder,
        policy__learn_from="reward",
        feedback__wait_s=str(wait_s),
        feedback__default_reward=str(DEFAULT_REWARD),
        storage__snapshot_every="20",
    )


def log_in(folder: Path) -> Path:
    """A log file for the next server in a folder."""
    return folder / f"log {len(list(folder.glob('log *')))}"


def let_the_windows_close(folder: Path) -> None:
    """Move the end of all windows that wait for a default into the past."""
    sql(
        folder,
        "UPDATE decisions SET due_at = created_at, record = json_set(record, '$.closes_at', created_at) "
        "WHERE due_at IS NOT NULL",
    )


def kill_as_it_learns(folder: Path, env: dict[str, str]) -> None:
    """Start a service and kill -9 it as soon as the first defaults that it has learned are there."""
    learned = count(folder, DEFAULTS)
    server = launch(log_in(folder), *FAKE, env=env)
    try:
        until(lambda: count(folder, DEFAULTS) > learned)
    finally:
        server.kill()
        server.client.close()


def until(condition: Callable[[], Any], timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s} s"
        time.sleep(0.01)  # between two looks at a file that another process writes


def count(folder: Path, query: str) -> int:
    return int(sql(folder, query)[0][0])


def decide(server: Server, number: int = 1) -> list[str]:
    def one(number: int) -> str:
        answer = server.client.post("/generate", json={"prompt": f"river {number}", "n": 2})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["decision_id"])

    with ThreadPoolExecutor(8) as threads:
        return list(threads.map(one, range(number)))


def tell(server: Server, decision_id: str, reward: float) -> str:
    answer = server.client.post("/feedback", json={"decision_id": decision_id, "reward": reward})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["status"])


def gauge(server: Server, name: str) -> float:
    match = re.search(rf"^{name} (\S+)$", server.client.get("/metrics").text, re.MULTILINE)
    assert match is not None
    return float(match[1])


def assert_each_learned_once(
    folder: Path, server: Server, decisions: list[str], rewards: dict[str, float]
) -> None:
    """One default for each decision that nobody spoke of in time, and one contribution for each decision."""
    rows = sql(folder, "SELECT decision_id FROM feedback WHERE identity LIKE 'default:%'")
    defaults = [decision_id for (decision_id,) in rows]
    assert len(defaults) == len(set(defaults))
    assert set(decisions) - set(rewards) <= set(defaults) <= set(decisions)
    policy = server.client.get("/policy").json()
    assert policy["log_position"] == 1 + ARMS + len(defaults) + len(rewards)
    assert policy["decisions"] == len(decisions)
    assert sum(arm["pulls"] for arm in policy["arms"]) == len(decisions)
    assert sum(arm["updates"] for arm in policy["arms"]) == len(decisions)
    learned = sum((arm["mean_reward"] or 0) * arm["updates"] for arm in policy["arms"])
    unspoken = len(decisions) - len(rewards)
    assert learned == pytest.approx(sum(rewards.values()) + DEFAULT_REWARD * unspoken)
    assert verified_digest(folder) == policy["digest"]


def test_kill_9_loses_no_default_and_doubles_none(tmp_path: Path) -> None:
    env = waiting(tmp_path, wait_s=3600)
    server = launch(log_in(tmp_path), *FAKE, env=env)
    try:
        wait_ready(server)
        decisions = decide(server, 250)
        rewards = dict.fromkeys(decisions[::10], 0.75)
        for decision_id, reward in rewards.items():
            assert tell(server, decision_id, reward) == "recorded"
    finally:
        server.kill()
        server.client.close()
    assert count(tmp_path, PENDING) == len(decisions) - len(rewards)
    verified_digest(tmp_path)

    let_the_windows_close(tmp_path)  # more fall due at once than one commit takes
    for _ in range(3):
        if count(tmp_path, PENDING):
            kill_as_it_learns(tmp_path, env)
            verified_digest(tmp_path)

    with serving(log_in(tmp_path), *FAKE, env=env) as server:
        until(lambda: count(tmp_path, PENDING) == 0)
        until(lambda: gauge(server, "laserve_feedback_pending") == 0)
        assert_each_learned_once(tmp_path, server, decisions, rewards)
        for decision_id in decisions[1:4]:
            rewards[decision_id] = 1.0
            assert tell(server, decision_id, 1.0) == "late"
        assert_each_learned_once(tmp_path, server, decisions, rewards)
    assert count(tmp_path, "SELECT count(*) FROM snapshots") > 0


def test_what_was_pending_is_told_and_learned_after_a_restart_even_without_a_window(tmp_path: Path) -> None:
    with serving(log_in(tmp_path), *FAKE, env=waiting(tmp_path, wait_s=3600)) as server:
        decisions = decide(server, 5)
    assert count(tmp_path, PENDING) == 5

    env = on_disk(tmp_path, policy__learn_from="reward")  # new decisions get neither window nor default
    with serving(log_in(tmp_path), *FAKE, env=env) as server:
        assert gauge(server, "laserve_feedback_pending") == 5
        decide(server, 2)
        assert tell(server, decisions[0], 1.0) == "recorded"
        assert count(tmp_path, PENDING) == 4

    let_the_windows_close(tmp_path)
    with serving(log_in(tmp_path), *FAKE, env=env) as server:
        until(lambda: gauge(server, "laserve_feedback_pending") == 0)
        assert_each_learned_once(tmp_path, server, decisions, {decisions[0]: 1.0})


def test_a_server_that_is_stopped_leaves_what_is_pending_to_the_next(tmp_path: Path) -> None:
    env, decisions = waiting(tmp_path, wait_s=1.0), []
    for _ in range(3):
        with serving(log_in(tmp_path), *FAKE, env=env) as server:
            decisions += decide(server, 20)
            assert server.stop() == 0
            assert "Traceback" not in server.output()
            assert "ERROR" not in server.output()
    with serving(log_in(tmp_path), *FAKE, env=env) as server:
        until(lambda: count(tmp_path, PENDING) == 0)
        assert_each_learned_once(tmp_path, server, decisions, {})


def downgrade(folder: Path, revision: str) -> None:
    """Make the database of a stopped service what an earlier version had left."""
    config = Config()
    config.set_main_option("script_location", "laserve.storage:migrations")
    engine = sqlalchemy.create_engine(f"sqlite:///{folder / 'laserve.db'}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, revision)
    engine.dispose()
    sql(folder, "UPDATE decisions SET record = json_remove(record, '$.closes_at', '$.default_reward')")


def test_a_database_without_windows_is_served_and_learns_on(tmp_path: Path) -> None:
    with serving(log_in(tmp_path), *FAKE, env=on_disk(tmp_path, policy__learn_from="reward")) as server:
        rated, unrated = decide(server, 2)
        tell(server, rated, 0.75)
        digest = server.client.get("/policy").json()["digest"]
    downgrade(tmp_path, "0001")
    assert "due_at" not in [row[1] for row in sql(tmp_path, "PRAGMA table_info(decisions)")]
    assert verified_digest(tmp_path) == digest

    with serving(log_in(tmp_path), *FAKE, env=waiting(tmp_path, wait_s=0.5)) as server:
        assert server.client.get("/policy").json()["digest"] == digest
        assert tell(server, rated, 0.75) == "duplicate"
        assert tell(server, unrated, 0.5) == "recorded"  # its window had no end
        (decision_id,) = decide(server)
        until(lambda: count(tmp_path, DEFAULTS) == 1)
        assert (
            server.client.get(f"/decisions/{decision_id}").json()["feedback"][0]["reward"] == DEFAULT_REWARD
        )
        assert verified_digest(tmp_path) == server.client.get("/policy").json()["digest"]
