"""An obstacle to a server's start is reported in one line, with exit status 1."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from integration.operation import FAKE, assert_one_line, on_disk, refused, sql, verified_digest
from processes import serving


def test_a_second_server_on_the_same_folder_is_refused_by_the_name_of_the_setting(tmp_path: Path) -> None:
    with serving(tmp_path / "first", *FAKE, env=on_disk(tmp_path)) as server:
        said = refused(tmp_path / "second", env=on_disk(tmp_path))
        assert_one_line(said, "data_dir", str(tmp_path))
        assert server.client.post("/generate", json={"prompt": "Once"}).status_code == 200


def by_the_same_path(folder: Path) -> Path:
    return folder


def without_the_lock_file(folder: Path) -> Path:
    (folder / "laserve.db.lock").unlink()
    return folder


def by_a_hard_link(folder: Path) -> Path:
    (other := folder.with_name("other")).mkdir()
    (other / "laserve.db").hardlink_to(folder / "laserve.db")
    return other


def by_a_link_to_the_file(folder: Path) -> Path:
    (other := folder.with_name("other")).mkdir()
    (other / "laserve.db").symlink_to(folder / "laserve.db")
    return other


def by_a_link_to_the_folder(folder: Path) -> Path:
    (other := folder.with_name("other")).symlink_to(folder)
    return other


@pytest.mark.parametrize(
    "reach",
    [
        by_the_same_path,
        without_the_lock_file,
        by_a_hard_link,
        by_a_link_to_the_file,
        by_a_link_to_the_folder,
    ],
)
def test_a_second_server_on_the_same_database_is_refused_by_whatever_name_it_comes(
    tmp_path: Path, reach: Callable[[Path], Path]
) -> None:
    folder = tmp_path / "data"
    with serving(tmp_path / "first", *FAKE, env=on_disk(folder)) as server:

        def teach(prompt: str) -> None:
            answer = server.client.post("/generate", json={"prompt": prompt, "n": 2})
            assert answer.status_code == 200, answer.text
            body = {"decision_id": answer.json()["decision_id"], "reward": 1}
            assert server.client.post("/feedback", json=body).json()["learned"]

        teach("before")
        other = reach(folder)
        for attempt in ("second", "third"):  # what the second one leaves behind opens no door
            assert_one_line(refused(tmp_path / attempt, env=on_disk(other)), "data_dir", str(other))
        teach("after")
        assert server.client.get("/readyz").status_code == 200
        digest = server.client.get("/policy").json()["digest"]
        assert server.stop() == 0
        assert "Traceback" not in server.output()
    assert verified_digest(folder) == digest
    assert sql(folder, "SELECT count(*) FROM feedback") == [(2,)]


def test_a_setting_that_contradicts_the_log_is_refused_by_its_name(tmp_path: Path) -> None:
    with serving(tmp_path / "first", *FAKE, env=on_disk(tmp_path)) as server:
        digest = server.client.get("/policy").json()["digest"]
    for setting, value, name in (
        ("context__tasks", '["math"]', "context.tasks"),
        ("policy__prior_embedding", "7", "policy.prior_embedding"),
    ):
        said = refused(tmp_path / setting, env=on_disk(tmp_path, **{setting: value}))
        assert said.startswith(f"laserve: {name}: ")
    # Nothing was changed: with the first settings it starts again where it was.
    with serving(tmp_path / "last", *FAKE, env=on_disk(tmp_path)) as server:
        assert server.client.get("/policy").json()["digest"] == digest


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (b"server: {port: [", ["config.yaml"]),
        (b"server: {prot: 1}\n", ["server.prot", "no such setting"]),
        (b"policy: {name: greedy}\n", ["policy.name"]),
        (b"arms: [{name: a, kind: nothing}]\n", ["arms.0.kind", "nothing"]),
    ],
    ids=[
        "broken YAML",
        "unknown setting",
        "unknown policy",
        "unknown scorer",
    ],
)
def test_a_wrong_file_of_settings_is_told_in_one_line(
    tmp_path: Path, content: bytes, names: list[str]
) -> None:
    config = tmp_path / "config.yaml"
    config.write_bytes(content)
    assert_one_line(refused(tmp_path / "log", "--config", str(config), env=on_disk(tmp_path)), *names)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("LASERVE_SEVER__PORT", "1", "LASERVE_SEVER__PORT"),
        ("LASERVE_SERVER__PROT", "1", "server.prot"),
    ],
)
def test_a_wrong_variable_is_told_in_one_line(tmp_path: Path, name: str, value: str, message: str) -> None:
    said = refused(tmp_path / "log", env=on_disk(tmp_path) | {name: value})
    assert_one_line(said, message)


def test_a_port_that_is_taken_is_told_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refused(tmp_path / "log", "--port", str(port), env=on_disk(tmp_path))
    assert_one_line(said, "server.port", str(port))
    assert not (tmp_path / "laserve.db").exists()


def test_a_folder_that_cannot_be_written_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert_one_line(refused(tmp_path / "log", env=on_disk(tmp_path / "file")), "data_dir")
