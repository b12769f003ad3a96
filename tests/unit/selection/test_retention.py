import hashlib
import hmac
import stat
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from builders import make_decision
from laserve.errors import ConfigError, StoreError
from laserve.selection.retention import Archive, Retention, hash_key
from laserve.storage.store import SqlStore
from laserve.types import Decision

SECRET = "my-password"


def private_decision() -> Decision:
    """A decision whose every text holds something that must not be kept."""
    decision = make_decision(
        metadata={"user": SECRET, "turn": 3, "tags": [SECRET, None, True], "deep": {"note": SECRET}},
        request={"question": SECRET, "documents": [{"title": "", "text": SECRET}]},
    )
    return replace(
        decision,
        candidates=tuple(
            replace(candidate, text=f"{SECRET} {candidate.text}") for candidate in decision.candidates
        ),
    )


def hashed(text: str, key: bytes = b"key") -> str:
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def test_full_keeps_everything() -> None:
    decision = private_decision()
    assert Retention(mode="full", key=b"").redact(decision) is decision


def test_hash_keeps_keyed_hashes_in_place_of_texts() -> None:
    kept = Retention(mode="hash", key=b"key").redact(private_decision())
    assert kept.retention == "hash"
    assert [candidate.text for candidate in kept.candidates] == [hashed(f"{SECRET} {end}") for end in "abac"]
    assert kept.request == {
        "question": hashed(SECRET),
        "documents": [{"title": hashed(""), "text": hashed(SECRET)}],
    }
    # What is no text stays: numbers, truth values, names of fields.
    assert kept.metadata == {
        "user": hashed(SECRET),
        "turn": 3,
        "tags": [hashed(SECRET), None, True],
        "deep": {"note": hashed(SECRET)},
    }


def test_equal_texts_have_equal_hashes_and_others_do_not() -> None:
    first, second, third, fourth = Retention(mode="hash", key=b"key").redact(private_decision()).candidates
    assert first.text == third.text
    assert len({first.text, second.text, fourth.text}) == 3


def test_another_key_gives_other_hashes() -> None:
    ours, theirs = (Retention(mode="hash", key=key).redact(private_decision()) for key in (b"1", b"2"))
    assert not {c.text for c in ours.candidates} & {c.text for c in theirs.candidates}


def test_none_keeps_no_text_at_all() -> None:
    kept = Retention(mode="none", key=b"").redact(private_decision())
    assert kept.retention == "none"
    assert {candidate.text for candidate in kept.candidates} == {""}
    assert kept.request is None
    assert kept.metadata == {}


@pytest.mark.parametrize("mode", ["hash", "none"])
def test_a_redacted_decision_holds_the_secret_nowhere(mode: str) -> None:
    kept = Retention(mode=mode, key=b"key").redact(private_decision())  # type: ignore[arg-type]
    assert SECRET not in repr(kept)


@pytest.mark.parametrize("mode", ["hash", "none"])
def test_what_replays_and_teaches_a_decision_is_kept(mode: str) -> None:
    decision = private_decision()
    kept = Retention(mode=mode, key=b"key").redact(decision)  # type: ignore[arg-type]
    governed = {"retention", "candidates", "request", "metadata", "sampling"}
    for name, value in vars(decision).items():
        if name not in governed:
            assert getattr(kept, name) is value, name
    # The texts that end a candidate come from the request as well.
    assert replace(kept.sampling, stop=()) == replace(decision.sampling, stop=())
    assert [replace(c, text="") for c in kept.candidates] == [
        replace(c, text="") for c in decision.candidates
    ]


# the archive


async def test_a_decision_is_redacted_before_it_is_stored() -> None:
    store = SqlStore(None)
    await store.open()
    archive = Archive(store=store, retention=Retention(mode="none", key=b""))
    archive.start()
    await archive.add(private_decision())
    kept = await store.decision(private_decision().id)
    assert (kept.retention, kept.request) == ("none", None)
    assert SECRET not in repr(kept)
    await archive.close()
    with pytest.raises(StoreError):
        await archive.add(private_decision())
    await store.close()


# the key


def test_a_key_is_made_once_and_readable_by_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "not there yet"
    key = hash_key(folder)
    assert len(key) == 32
    assert hash_key(folder) == key
    assert stat.S_IMODE((folder / "hash.key").stat().st_mode) == 0o600


def test_folders_have_keys_of_their_own(tmp_path: Path) -> None:
    assert hash_key(tmp_path / "one") != hash_key(tmp_path / "two")


def test_a_folder_that_cannot_be_written_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"^storage\.hash_key: cannot keep a key"):
        hash_key(tmp_path / "file" / "folder")


def test_an_empty_key_file_is_never_used_as_a_key(tmp_path: Path) -> None:
    # What a process leaves that dies between making the file and filling it. Without a key the hashes of
    # short texts could be looked up; to refuse and to make a new key are both right.
    (tmp_path / "hash.key").touch(mode=0o600)
    key = bytes(32)
    with suppress(ConfigError):
        key = hash_key(tmp_path)
    assert len(key) == 32
