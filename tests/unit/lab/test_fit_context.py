"""Constants of the context features from requests of any shape."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors import safe_open

from laserve.cli.training import fit_context
from laserve.config import load
from laserve.errors import ConfigError, InvalidRequest
from laserve.generation.prompts import SOLVED
from laserve.lab.fit_context import COMPONENTS, fit

SETTINGS = load(config=None, profile="fake")


def rows() -> list[dict[str, Any]]:
    """Requests of every form; with `None` where a column may be empty."""
    return [
        *({"question": f"who built clock {n}?", "documents": [{"text": "x" * n}]} for n in range(20)),
        *({"question": f"where is clock {n}?", "documents": None} for n in range(20)),
        *({"prompt": f"tell me of boat {n}", "documents": None} for n in range(20)),
        *({"messages": [{"role": "user", "content": f"is {n} prime?"}], "prompt": None} for n in range(20)),
        *({"prompt": f"{n} or one?", "chosen": "one", "rejected": "none"} for n in range(20)),
    ]


def saved(path: Path, content: list[dict[str, Any]], *others: str) -> Path:
    path.write_text("\n".join([*map(json.dumps, content), *others]))
    return path


async def test_requests_of_every_form_count(tmp_path: Path) -> None:
    out = tmp_path / "constants.safetensors"
    words = await fit(SETTINGS, [saved(tmp_path / "rows.jsonl", rows())], out)
    assert words.startswith("100 requests of rows.jsonl; 32 components hold ")
    with safe_open(out, "np") as file:
        assert file.metadata()["made_from"] == words
        assert file.get_tensor("components").shape == (COMPONENTS, 384)
        mean = file.get_tensor("mean")
    assert mean[3] == pytest.approx(20 * np.log(2) / 100)  # a fifth has one document


async def test_the_length_of_a_prompt_is_that_of_all_its_parts(tmp_path: Path) -> None:
    lengths = []
    for number, row in enumerate(
        [
            {"question": "{}", "documents": [{"text": "ab"}, {"text": "cd"}]},
            {"prompt": "{}"},
            {"messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "{}"}]},
        ]
    ):
        content = [json.loads(json.dumps(row).replace("{}", f"{n:05}")) for n in range(40)]
        out = tmp_path / f"{number}.safetensors"
        await fit(SETTINGS, [saved(tmp_path / "rows.jsonl", content)], out)
        with safe_open(out, "np") as file:
            lengths.append(np.expm1(file.get_tensor("mean")[2]) * 4.5)
    assert lengths == pytest.approx([len(SOLVED) + 5 + 4, 5, 5 + len("be brief")])


@pytest.mark.parametrize("count", [COMPONENTS, 200])
async def test_too_few_different_requests_are_refused_and_nothing_is_written(
    tmp_path: Path, count: int
) -> None:
    content = [{"prompt": f"question {number % COMPONENTS}", "id": str(number)} for number in range(count)]
    with pytest.raises(
        ConfigError, match=r"--data: .*\.jsonl?: 32 different requests; more than 32 are needed"
    ):
        await fit(SETTINGS, [saved(tmp_path / "rows.jsonl", content)], tmp_path / "out.safetensors")
    assert [file.name for file in tmp_path.iterdir()] == ["rows.jsonl"]


async def test_a_bad_record_is_named_and_left_out_or_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = saved(tmp_path / "rows.jsonl", rows(), '{"question": 7}', '{"label": 1}')
    out = tmp_path / "out.safetensors"
    assert (await fit(SETTINGS, [path], out)).startswith("100 requests")
    assert "line 101: question: must be a text, is a number" in caplog.text
    out.unlink()
    with pytest.raises(InvalidRequest, match="line 101: question: must be a text"):
        await fit(SETTINGS, [path], out, strict=True)
    assert not out.exists()


def test_the_command_names_a_cut_archive(tmp_path: Path) -> None:
    import gzip

    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(rows()).encode())[:-10])
    out = tmp_path / "out.safetensors"
    result = CliRunner().invoke(fit_context, ["--profile", "fake", "--data", str(path), "--out", str(out)])
    assert result.exit_code == 1
    assert result.stderr == f"laserve: {path}: the gzip archive is cut\n"
    assert not out.exists()
