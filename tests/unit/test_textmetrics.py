from collections.abc import Sequence
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laserve import textmetrics

TEXTS = st.text(max_size=60) | st.lists(
    st.sampled_from(["the", "red", "Red!", "fox", "an", "1911", "a"]), max_size=12
).map(" ".join)
WORDS = st.lists(st.sampled_from(["x", "y", "z", "w"]), max_size=7)
#: Words of one character, of several, and beyond ASCII, more of them than a machine word has bits.
LONG_WORDS = st.lists(st.sampled_from(["x", "y", "zz", "wort", "1911", "é", "漢字", "😀"]), max_size=150)
CODE = st.text("ab é漢😀", max_size=150)
METRICS = sorted(textmetrics.METRICS)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The Cat, an owl & a dog.", ["cat", "owl", "dog"]),
        ("theatre another banana", ["theatre", "another", "banana"]),  # articles only as whole words
        ("U.S. twenty-one", ["us", "twentyone"]),  # punctuation goes without leaving a space
        ("  folded\t\nwhite  space ", ["folded", "white", "space"]),
        ("ÉCOLE Straße", ["école", "straße"]),
        ("the a an !?", []),
        ("", []),
    ],
)
def test_normalisation_keeps_lower_case_words_without_punctuation_and_articles(
    text: str, words: list[str]
) -> None:
    assert textmetrics.tokens(text) == words


@pytest.mark.parametrize(
    ("text", "reference", "f1", "exact", "rouge"),
    [
        ("Ada Thorn", "ada thorn.", 1, 1, 1),
        ("the Ada Thorn", "Ada Thorn", 1, 1, 1),
        ("Ada", "Ada Thorn", 2 / 3, 0, 2 / 3),
        ("Thorn Ada", "Ada Thorn", 1, 0, 1 / 2),  # order counts for the subsequence alone
        ("x y z", "x q z", 2 / 3, 0, 2 / 3),
        ("x x y", "x", 1 / 2, 0, 1 / 2),  # a repeated word is matched once
        ("x x", "x x x", 4 / 5, 0, 4 / 5),
        ("z y x", "x y z", 1, 0, 1 / 3),
        ("red", "blue", 0, 0, 0),
        ("", "blue", 0, 0, 0),
        ("blue", "", 0, 0, 0),
        ("", "", 1, 1, 1),
        ("the", "an", 1, 1, 1),  # both normalise to nothing
    ],
)
def test_metrics_of_known_cases(text: str, reference: str, f1: float, exact: float, rouge: float) -> None:
    assert textmetrics.f1(text, reference) == pytest.approx(f1)
    assert textmetrics.exact_match(text, reference) == exact
    assert textmetrics.rouge_l(text, reference) == pytest.approx(rouge)


@pytest.mark.parametrize("metric", METRICS)
@given(ours=TEXTS, theirs=TEXTS)
def test_a_metric_lies_between_zero_and_one(metric: str, ours: str, theirs: str) -> None:
    assert 0.0 <= textmetrics.METRICS[metric](ours, theirs) <= 1.0


@pytest.mark.parametrize("metric", METRICS)
@given(ours=TEXTS, theirs=TEXTS)
def test_a_metric_is_symmetric(metric: str, ours: str, theirs: str) -> None:
    measure = textmetrics.METRICS[metric]
    assert measure(ours, theirs) == measure(theirs, ours)


@pytest.mark.parametrize("metric", METRICS)
@given(text=TEXTS)
def test_a_text_agrees_with_itself(metric: str, text: str) -> None:
    assert textmetrics.METRICS[metric](text, text) == 1.0


@given(ours=TEXTS, theirs=TEXTS)
def test_exact_match_implies_rouge_implies_f1(ours: str, theirs: str) -> None:
    # A common subsequence is a common multiset as well, and equal texts share both.
    exact, rouge, f1 = (textmetrics.METRICS[name](ours, theirs) for name in ("exact_match", "rouge_l", "f1"))
    assert exact <= rouge <= f1


def longest_common_subsequence(ours: Sequence[str], theirs: Sequence[str]) -> int:
    """The length, by the dynamic programme over all pairs of prefixes."""
    row = [0] * (len(theirs) + 1)
    for one in ours:
        diagonal = 0
        for j, other in enumerate(theirs, start=1):
            diagonal, row[j] = row[j], (diagonal + 1 if one == other else max(row[j], row[j - 1]))
    return row[-1]


def expected_ratio(ours: Sequence[str], theirs: Sequence[str]) -> float:
    if not ours or not theirs:
        return float(len(ours) == len(theirs))
    return 2 * longest_common_subsequence(ours, theirs) / (len(ours) + len(theirs))


@given(ours=WORDS, theirs=WORDS)
def test_the_longest_common_subsequence_is_that_of_a_brute_force(ours: list[str], theirs: list[str]) -> None:
    def subsequences(words: list[str]) -> set[tuple[str, ...]]:
        return {part for length in range(len(words) + 1) for part in combinations(words, length)}

    longest = max(len(part) for part in subsequences(ours) & subsequences(theirs))
    assert longest_common_subsequence(ours, theirs) == longest


@given(ours=LONG_WORDS, theirs=LONG_WORDS)
def test_rouge_l_is_that_of_the_dynamic_programme_to_the_last_bit(ours: list[str], theirs: list[str]) -> None:
    assert textmetrics.rouge_l(" ".join(ours), " ".join(theirs)) == expected_ratio(ours, theirs)


@given(ours=CODE, theirs=CODE)
def test_code_similarity_is_that_of_the_dynamic_programme_to_the_last_bit(ours: str, theirs: str) -> None:
    assert textmetrics.code_similarity(ours, theirs) == expected_ratio(ours, theirs)


def test_the_closest_reference_counts() -> None:
    references = ["red fox", "blue whale", "blue"]
    assert textmetrics.best("f1", "the blue whale", references) == 1.0
    assert textmetrics.best("exact_match", "blue fox", references) == 0.0
    assert textmetrics.best("rouge_l", "blue fox", ["red fox", "nothing"]) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("text", "reference", "expected"),
    [
        ("Manner of an action", "Manner of an action", 1),
        ("It is a Date.", "Date", 1),
        ("Date, Animal", "Date", 1 / 2),
        ("Date, Manner of an action", "Date", 1 / 3),  # the short name inside the long one as well
        ("Manner of an action", "Manner", 1 / 2),  # the longer class is named as well
        ("Manner", "Manner of an action", 0),
        ("date", "Date", 0),  # names are written as they are
        ("", "Date", 0),
    ],
)
def test_a_class_counts_when_named_and_shares_with_other_classes_named(
    text: str, reference: str, expected: float
) -> None:
    classes = ["Date", "Animal", "Manner", "Manner of an action"]
    assert textmetrics.classification(text, reference, classes) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "reference", "expected"),
    [
        ("Paragraph 7", "Paragraph 7", 1),
        ("7", "Paragraph 7", 1),
        ("Paragraph 7 or 17", "Paragraph 7", 1 / 2),
        ("Paragraph 17", "Paragraph 7", 0),
        ("Paragraph seven", "Paragraph 7", 0),
        ("Paragraph 7", "nothing", 0),
    ],
)
def test_a_retrieved_paragraph_is_told_by_its_number(text: str, reference: str, expected: float) -> None:
    assert textmetrics.retrieval(text, reference) == expected


@pytest.mark.parametrize(
    ("text", "reference", "expected"),
    [
        ("12", "12", 1),
        ("There are 12.", "12", 1),
        ("12 of 24, so 12", "12", 2 / 3),
        ("120", "12", 0),
        ("", "12", 0),
    ],
)
def test_a_count_is_the_share_of_right_numbers(text: str, reference: str, expected: float) -> None:
    assert textmetrics.count(text, reference) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "reference", "expected"),
    [
        ("return x", "return x", 1),
        ("\n\nreturn x\nreturn y", "return x", 1),
        ("```python\n# the sum\n// the sum\nreturn x", "return x", 1),
        ("abc", "abd", 4 / 6),
        ("abc", "xyz", 0),
        ("```", "abc", 0),  # no line of code
        ("", "", 1),
    ],
)
def test_code_is_compared_by_its_first_line(text: str, reference: str, expected: float) -> None:
    assert textmetrics.code_similarity(text, reference) == pytest.approx(expected)


@given(ours=st.text("ab c", max_size=20), theirs=st.text("ab c", max_size=20))
def test_code_similarity_is_symmetric_between_zero_and_one_and_one_for_the_same(
    ours: str, theirs: str
) -> None:
    similarity = textmetrics.code_similarity(ours, theirs)
    assert similarity == textmetrics.code_similarity(theirs, ours)
    assert 0.0 <= similarity <= 1.0
    assert (similarity == 1.0) == (ours == theirs)
