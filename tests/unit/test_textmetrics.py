from collections.abc import Sequence
from decimal import Decimal
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


# numbers and letters


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("so there are 72.", "72"),
        ("first 3, then 72", "72"),
        ("#### 72", "72"),
        ("It costs $1,200.00!", "1200"),
        ("1,200,000 in all", "1200000"),
        ("a list: 1,2,3", "3"),
        ("72.50", "72.5"),
        (".5", "0.5"),
        ("x = -5", "-5"),
        ("-$5 or \u22125", "-5"),
        ("10-5", "5"),
        ("(3)-5", "5"),
        ("100%", "100"),
        ("0.0", "0"),
        ("=<<24+48=72>>72 clips", "72"),
    ],
)
def test_the_final_number_is_compared_without_commas_currency_and_zeros(text: str, last: str) -> None:
    assert textmetrics.final_number(text, last) == 1.0
    assert textmetrics.final_number(f"{text}\nand 987", last) == 0.0


@pytest.mark.parametrize(("text", "reference"), [("", "72"), ("seventy-two", "72"), ("72", "none"), ("", "")])
def test_a_text_without_a_number_has_no_final_number(text: str, reference: str) -> None:
    assert textmetrics.final_number(text, reference) == 0.0


@given(
    value=st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**9), max_value=10**9)
)
def test_a_number_is_found_however_it_is_grouped(value: Decimal) -> None:
    assert textmetrics.final_number(f"I counted {value:,f} of them.", f"{value:f}") == 1.0
    assert textmetrics.final_number(f"I counted {value + 1:,f} of them.", f"{value:f}") == 0.0


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("The correct answer is (B)", "B"),
        ("The correct answer is **(B)**.", "B"),
        ("the answer is: B", "B"),
        ("Answer: B", "B"),
        ("**Answer**: (B)", "B"),
        ("I choose option B, not because of (A).", "B"),
        ("(A) is wrong, (C) too; the answer is B.", "B"),
        ("The answer is (B). To repeat: the correct answer is B", "B"),
        ("B", "B"),
        (" B\n", "B"),
        ("(B)", "B"),
        ("B.", "B"),
        ("B) Bo Lark", "B"),
        ("B: Bo Lark", "B"),
        ("It must be (B) for sure", "B"),
        ("Option A is early, option C late. So the answer is option B.", "B"),
        ("Option B fits.", "B"),
        ("option A or option B", None),
        ("The answer is (A). No, the answer is (B).", None),
        ("(A) or (B)", None),
        ("A man came in", None),
        ("The answer is Ada", None),
        ("The answer is E", None),
        ("", None),
        ("Bo Lark", None),
    ],
)
def test_the_chosen_letter_is_stated_or_at_the_start_or_alone_in_brackets(
    text: str, letter: str | None
) -> None:
    assert [textmetrics.choice(text, one) for one in "ABCD"] == [float(one == letter) for one in "ABCD"]
