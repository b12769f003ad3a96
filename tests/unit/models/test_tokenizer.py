"""Division of a model's length among documents, and splitting of a chat template."""

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laserve.config import load
from laserve.errors import ConfigError, InvalidRequest
from laserve.models import tokenizer
from laserve.models.packaged import prepare
from laserve.models.tokenizer import FolderTokenizer, shares

LENGTHS = st.lists(st.integers(0, 50), max_size=8)


@given(lengths=LENGTHS, room=st.integers(0, 300))
def test_shares_use_the_room_and_no_more(lengths: list[int], room: int) -> None:
    assert sum(shares(lengths, room)) == min(sum(lengths), room)


@given(lengths=LENGTHS, room=st.integers(0, 300))
def test_no_document_gets_more_than_its_length(lengths: list[int], room: int) -> None:
    kept = shares(lengths, room)
    assert len(kept) == len(lengths)
    assert all(0 <= share <= length for share, length in zip(kept, lengths, strict=True))


@given(lengths=LENGTHS, room=st.integers(0, 300))
def test_the_longest_documents_lose_first_down_to_a_common_length(lengths: list[int], room: int) -> None:
    kept = shares(lengths, room)
    cut = [share for share, length in zip(kept, lengths, strict=True) if share < length]
    # A cut document keeps at least as much as any other, but for the remainder of one token.
    assert all(share >= max(kept) - 1 for share in cut)


@given(lengths=LENGTHS, spare=st.integers(0, 20))
def test_nothing_is_lost_when_all_fits(lengths: list[int], spare: int) -> None:
    assert shares(lengths, sum(lengths) + spare) == lengths


@pytest.mark.parametrize(
    ("lengths", "room", "kept"),
    [
        ([], 10, []),
        ([5, 100, 20], 40, [5, 18, 17]),
        ([5, 100, 20], 60, [5, 35, 20]),
        ([10, 10], 0, [0, 0]),
        ([10, 10, 10], 10, [3, 3, 4]),
        ([0, 7], 3, [0, 3]),
    ],
)
def test_shares_of_known_cases(lengths: list[int], room: int, kept: list[int]) -> None:
    assert shares(lengths, room) == kept


@pytest.fixture(scope="module")
def folder() -> Path:
    return prepare("smollm2-135m-instruct", load().cache_dir.expanduser())


async def test_of_the_role_sequences_that_clients_think_up_only_so_many_are_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokenizer, "_KEPT_FRAMES", 3)
    ours = FolderTokenizer(str(folder))
    frames = [await ours.frame(["user", "assistant"] * turns) for turns in range(1, 7)]
    assert len(ours._frames) == 3
    assert [await ours.frame(["user", "assistant"] * turns) for turns in range(1, 7)] == frames


async def test_a_template_that_leaves_a_turn_out_refuses_it(folder: Path) -> None:
    ours = FolderTokenizer(str(folder))
    ours._tokenizer.chat_template = "{{ messages[0].content }}"
    with pytest.raises(InvalidRequest, match="leaves a turn out of user, assistant"):
        await ours.frame(["user", "assistant"])


def test_code_that_comes_with_a_tokenizer_is_refused_without_a_question(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(question: str) -> str:
        raise AssertionError(question)

    monkeypatch.setattr("builtins.input", ask)
    for file in ("tokenizer.json", "config.json"):
        shutil.copy(folder / file, tmp_path)
    auto_map = {"AutoTokenizer": ["code.Tokenizer", None]}
    settings = {"tokenizer_class": "Tokenizer", "auto_map": auto_map}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    (tmp_path / "code.py").write_text("raise AssertionError('code was run')")
    with pytest.raises(ConfigError, match="no tokenizer at"):
        FolderTokenizer(str(tmp_path))
