"""Metrics of an answer against reference answers, each in [0, 1].

Question answering: token F1, exact match, ROUGE-L. Normalisation and F1 as in SQuAD (Rajpurkar et al., 2016,
section 6.1): lower case, no punctuation, no English articles, white space folded. With several references the
best one counts.

Other tasks of LongBench (Bai et al., 2024, arXiv 2308.14508): `classification`, `retrieval`, `count` and
`code_similarity`, as in its published evaluation.
"""

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence

from rapidfuzz.distance import LCSseq

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_NUMBER = re.compile(r"\d+")
#: Marks of lines that are not code.
_NOT_CODE = ("`", "#", "//")


def tokens(text: str) -> list[str]:
    """Normalised words of a text."""
    return _ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split()


def f1(text: str, reference: str) -> float:
    """Harmonic mean of word precision and recall, in [0, 1]; two empty texts agree (1)."""
    return f1_bags(Counter(tokens(text)), Counter(tokens(reference)))


def f1_bags(ours: Counter[str], theirs: Counter[str]) -> float:
    """`f1` of two texts as counts of their normalised words."""
    if not ours or not theirs:
        return float(ours == theirs)
    return 2 * (ours & theirs).total() / (ours.total() + theirs.total())


def exact_match(text: str, reference: str) -> float:
    """1 when the normalised texts are equal, else 0."""
    return float(tokens(text) == tokens(reference))


def rouge_l(text: str, reference: str) -> float:
    """F-measure of the longest common subsequence of words, in [0, 1] (Lin, 2004, with beta = 1)."""
    return _subsequence_ratio(tokens(text), tokens(reference))


def classification(text: str, reference: str, classes: Sequence[str]) -> float:
    """1 / (number of classes that the text names) where it names the right class, else 0.

    A class whose name is a part of the right class's name does not count as named.

    Args:
        reference: the right class.
        classes: names of all classes.
    """
    named = [name for name in classes if name in text and (name == reference or name not in reference)]
    return 1.0 / len(named) if reference in named else 0.0


def retrieval(text: str, reference: str) -> float:
    """Share of the numbers in the text that equal the first number of the reference; 0 without numbers."""
    number = _NUMBER.search(reference)
    return count(text, number[0]) if number else 0.0


def count(text: str, reference: str) -> float:
    """Share of the numbers in the text that equal the reference; 0 without numbers."""
    numbers = _NUMBER.findall(text)
    return numbers.count(reference.strip()) / len(numbers) if numbers else 0.0


def code_similarity(text: str, reference: str) -> float:
    """Similarity of the first line of code to the reference: 2 LCS / (sum of the lengths), in characters.

    The similarity is one minus the normalised edit distance by insertions and deletions. Empty lines at the
    start, and lines with a backquote, ``#`` or ``//``, are not code.
    """
    lines = text.lstrip("\n").split("\n")
    code = next((line for line in lines if not any(mark in line for mark in _NOT_CODE)), "")
    return _subsequence_ratio(code, reference)


def _subsequence_ratio(ours: Sequence[str], theirs: Sequence[str]) -> float:
    """2 LCS / (sum of the lengths), with LCS the longest common subsequence; 1 for two empty sequences."""
    if not ours or not theirs:
        return float(len(ours) == len(theirs))
    return 2 * LCSseq.similarity(ours, theirs) / (len(ours) + len(theirs))


#: Metrics for feedback: they need only a text and a reference in words.
METRICS: dict[str, Callable[[str, str], float]] = {
    "f1": f1,
    "exact_match": exact_match,
    "rouge_l": rouge_l,
}


def best(metric: str, text: str, references: Sequence[str]) -> float:
    """The metric against the reference with the highest value, in [0, 1]."""
    return max(METRICS[metric](text, reference) for reference in references)
