"""Metrics of an answer against right ones, each in [0, 1].

Question answering: token F1, exact match, ROUGE-L. Normalisation and F1 as in SQuAD (Rajpurkar et al., 2016,
section 6.1): lower case, no punctuation, no English articles, white space folded. With several references the
best one counts.

The other tasks of LongBench (Bai et al., 2024, arXiv 2308.14508): `classification`, `retrieval`, `count` and
`code_similarity`, by what its published evaluation measures.
"""

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_NUMBER = re.compile(r"\d+")
#: What a line of code does not hold.
_NO_CODE = ("`", "#", "//")


def tokens(text: str) -> list[str]:
    """Normalised words of a text."""
    return _ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split()


def f1(text: str, reference: str) -> float:
    """Harmonic mean of word precision and recall, in [0, 1]; two empty texts agree (1)."""
    return f1_bags(Counter(tokens(text)), Counter(tokens(reference)))


def f1_bags(ours: Counter[str], theirs: Counter[str]) -> float:
    """`f1` of texts that are already normalised and counted."""
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
    """Whether the text names the right class: 1, shared equally among all classes that it names; else 0.

    A class whose name is a part of the right one's does not count as named: the right one spells it out.

    Args:
        reference: the right class.
        classes: names of all of them.
    """
    named = [name for name in classes if name in text and (name == reference or name not in reference)]
    return 1.0 / len(named) if reference in named else 0.0


def retrieval(text: str, reference: str) -> float:
    """Share of the numbers in the text that are the first number of the reference; 0 without numbers."""
    wanted = _NUMBER.search(reference)
    return count(text, wanted[0]) if wanted else 0.0


def count(text: str, reference: str) -> float:
    """Share of the numbers in the text that are the reference; 0 without numbers."""
    numbers = _NUMBER.findall(text)
    return numbers.count(reference.strip()) / len(numbers) if numbers else 0.0


def code_similarity(text: str, reference: str) -> float:
    """Likeness of the first line of code to the reference: 2 LCS / (sum of the lengths), in characters.

    That is one minus the normalised edit distance by insertions and deletions. Empty lines at the start, and
    lines that hold a backquote, ``#`` or ``//``, are no code.
    """
    lines = text.lstrip("\n").split("\n")
    code = next((line for line in lines if not any(mark in line for mark in _NO_CODE)), "")
    return _subsequence_ratio(code, reference)


def _subsequence_ratio(ours: Sequence[str], theirs: Sequence[str]) -> float:
    """Twice the longest common subsequence over the sum of the lengths; 1 where both are empty."""
    if not ours or not theirs:
        return float(len(ours) == len(theirs))
    row = [0] * (len(theirs) + 1)
    for one in ours:
        diagonal = 0
        for j, other in enumerate(theirs, start=1):
            diagonal, row[j] = row[j], (diagonal + 1 if one == other else max(row[j], row[j - 1]))
    return 2 * row[-1] / (len(ours) + len(theirs))


#: Metrics that need nothing but a text and a reference in words: those that feedback may ask for.
METRICS: dict[str, Callable[[str, str], float]] = {
    "f1": f1,
    "exact_match": exact_match,
    "rouge_l": rouge_l,
}


def best(metric: str, text: str, references: Sequence[str]) -> float:
    """The metric against the closest of the references, in [0, 1]."""
    return max(METRICS[metric](text, reference) for reference in references)
