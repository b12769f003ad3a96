"""Every encoder keeps the protocol of `laserve.models.encoder`."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contract import samples
from laserve.errors import ConfigError
from laserve.models.encoder import Encoder, HashEncoder, Matrix, SentenceEncoder

TEXTS = (
    "who built the harbour clock",
    "",
    " \t\n ",
    "x",
    samples.ODD_TEXT,
    "when was the road over the orrin pass paved, and by whom?",
    "[CLS] [SEP] [MASK] <s> </s> <|im_end|>",
    "a" * 20_000,
    "日本語のテキスト",
)
# The order of sums within a batch is not fixed; float32 rounds at 6e-8.
TOLERANCE = 2e-6

some = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(params=["hash_encoder", "sentence_encoder"])
def encoder(request: pytest.FixtureRequest) -> Encoder:
    encoder: Encoder = request.getfixturevalue(request.param)
    return encoder


def fresh(encoder: Encoder) -> Encoder:
    """Another one of the same kind and model."""
    return SentenceEncoder(str(encoder.path)) if isinstance(encoder, SentenceEncoder) else HashEncoder()


def assert_unit_rows(rows: Matrix, count: int, encoder: Encoder) -> None:
    assert rows.shape == (count, encoder.dimension)
    assert rows.dtype == np.float32
    assert np.linalg.norm(rows.astype(np.float64), axis=1) == pytest.approx(1.0, abs=1e-5)


def nearest(query: Matrix, rows: Matrix) -> int:
    return int(np.argmax(rows @ query))


async def test_every_text_becomes_a_unit_row_of_float32(encoder: Encoder) -> None:
    texts = [*TEXTS, "word " * 3000]
    assert_unit_rows(await encoder.encode(texts), len(texts), encoder)


@some
@given(texts=st.lists(samples.texts, min_size=1, max_size=5))
async def test_no_characters_break_that(encoder: Encoder, texts: list[str]) -> None:
    assert_unit_rows(await encoder.encode(texts), len(texts), encoder)


async def test_no_texts_become_no_rows(encoder: Encoder) -> None:
    assert_unit_rows(await encoder.encode([]), 0, encoder)


async def test_the_same_texts_become_the_same_bytes(encoder: Encoder) -> None:
    first, second = await encoder.encode(TEXTS), await encoder.encode(TEXTS)
    assert first.tobytes() == second.tobytes()


async def test_rows_stand_in_the_order_of_the_texts(encoder: Encoder) -> None:
    order = np.random.default_rng(0).permutation(len(TEXTS))
    rows = await encoder.encode(TEXTS)
    shuffled = await encoder.encode([TEXTS[index] for index in order])
    assert shuffled == pytest.approx(rows[order], abs=TOLERANCE)


async def test_a_row_does_not_depend_on_its_company(encoder: Encoder) -> None:
    rows = await encoder.encode(TEXTS)
    alone = np.concatenate([await encoder.encode([text]) for text in TEXTS])
    assert alone == pytest.approx(rows, abs=TOLERANCE)


async def test_more_texts_than_one_pass_takes_keep_their_rows(sentence_encoder: SentenceEncoder) -> None:
    narrow = SentenceEncoder(str(sentence_encoder.path), batch_tokens=64)
    await narrow.load()
    rows = await narrow.encode(TEXTS)
    await narrow.close()
    assert rows == pytest.approx(await sentence_encoder.encode(TEXTS), abs=TOLERANCE)


async def test_a_long_text_loses_its_end(encoder: Encoder) -> None:
    start = " ".join(f"word{number}" for number in range(encoder.max_tokens))
    long, longer = await encoder.encode([f"{start} and an end", f"{start} with quite another end " * 9])
    assert longer == pytest.approx(long, abs=TOLERANCE)


async def test_within_the_limit_every_word_counts(encoder: Encoder) -> None:
    short, longer = await encoder.encode(["the harbour clock of velm", "the harbour clock of orrin"])
    assert float(short @ longer) < 0.999


async def test_texts_that_share_words_lie_closer_than_others(encoder: Encoder) -> None:
    query, *others = await encoder.encode(
        [
            "who built the harbour clock",
            "snow closes the pass from november until april",
            "the harbour clock was built by a watchmaker",
            "bread is sold from eight",
        ]
    )
    assert nearest(query, np.stack(others)) == 1


async def test_special_tokens_in_a_text_are_plain_characters(sentence_encoder: SentenceEncoder) -> None:
    # Read as a token, [SEP] would be one and the same, however it is capitalised in the text.
    plain, forged = await sentence_encoder.encode(["a [sep] b", "a [SEP] b"])
    assert forged == pytest.approx(plain, abs=TOLERANCE)


async def test_the_fingerprint_is_the_same_for_the_same_model(encoder: Encoder) -> None:
    other = fresh(encoder)
    await other.load()
    assert other.fingerprint == encoder.fingerprint != ""
    assert (await other.encode(TEXTS)).tobytes() == (await encoder.encode(TEXTS)).tobytes()
    await other.close()


async def test_fingerprints_differ_where_vectors_do(
    hash_encoder: HashEncoder, sentence_encoder: SentenceEncoder, tmp_path: Path
) -> None:
    shorter = SentenceEncoder(str(sentence_encoder.path), max_tokens=128)
    await shorter.load()
    await shorter.close()

    # One bit of one weight.
    retrained = tmp_path / "model"
    retrained.mkdir()
    for file in sentence_encoder.path.iterdir():
        if file.is_file():
            (retrained / file.name).write_bytes(file.read_bytes())
    weights = bytearray((retrained / "model.safetensors").read_bytes())
    weights[-4] ^= 1
    (retrained / "model.safetensors").write_bytes(weights)
    other = SentenceEncoder(str(retrained))
    await other.load()
    await other.close()

    prints = [hash_encoder, HashEncoder(128), sentence_encoder, shorter, other]
    assert len({encoder.fingerprint for encoder in prints}) == 5


@pytest.mark.parametrize("content", [{}, {"config.json": "no json"}], ids=["missing", "unreadable"])
async def test_a_model_that_cannot_be_read_names_its_setting(tmp_path: Path, content: dict[str, str]) -> None:
    for name, text in content.items():
        (tmp_path / name).write_text(text)
    encoder = SentenceEncoder(str(tmp_path))
    with pytest.raises(ConfigError, match=r"context\.encoder"):
        await encoder.load()
    await encoder.close()
