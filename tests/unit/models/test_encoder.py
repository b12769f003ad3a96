import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from laserve.models.encoder import HashEncoder

#: With one bucket, half of all words cancel the other half.
DIMENSIONS = st.sampled_from([1, 2, 7, 384])


@given(texts=st.lists(st.text(max_size=40), max_size=5), dimension=DIMENSIONS)
async def test_rows_are_unit_vectors_of_the_stated_shape(texts: list[str], dimension: int) -> None:
    vectors = await HashEncoder(dimension).encode(texts)
    assert vectors.shape == (len(texts), dimension)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, rtol=1e-6)


@given(texts=st.lists(st.text(max_size=40), min_size=1, max_size=5))
async def test_a_text_has_the_same_vector_in_any_company(texts: list[str]) -> None:
    together = await HashEncoder().encode(texts)
    alone = [await HashEncoder().encode([text]) for text in texts]
    np.testing.assert_array_equal(together, np.concatenate(alone))


async def test_texts_that_share_words_lie_closer_than_others() -> None:
    text, near, far = await HashEncoder().encode(
        ["who built the harbour clock", "Ada Thorn built the harbour clock", "sheep eat grass"]
    )
    assert text @ near > 0.5 > abs(text @ far)


async def test_case_and_order_of_words_do_not_matter() -> None:
    first, second = await HashEncoder().encode(["Red Fox runs", "runs red fox"])
    np.testing.assert_array_equal(first, second)


async def test_a_long_text_loses_its_end() -> None:
    encoder = HashEncoder()
    words = [f"word{index}" for index in range(encoder.max_tokens + 1)]
    whole, cut, shorter = await encoder.encode([" ".join(words), " ".join(words[:-1]), " ".join(words[:-2])])
    np.testing.assert_array_equal(whole, cut)
    assert not np.array_equal(cut, shorter)


def test_the_fingerprint_changes_with_the_vectors() -> None:
    assert HashEncoder(8).fingerprint == HashEncoder(8).fingerprint
    assert HashEncoder(8).fingerprint != HashEncoder(16).fingerprint
