"""Answer metrics of extractive question answering: token F1, exact match, ROUGE-L.

Normalisation and F1 as in SQuAD (Rajpurkar et al., 2016, section 6.1): lower case, no punctuation, no English
articles, white space folded. With several references the best one counts.
"""

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


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
    ours, theirs = tokens(text), tokens(reference)
    if not ours or not theirs:
        return float(ours == theirs)
    row = [0] * (len(theirs) + 1)
    for word in ours:
        diagonal = 0
        for j, other in enumerate(theirs, start=1):
            diagonal, row[j] = row[j], (diagonal + 1 if word == other else max(row[j], row[j - 1]))
    return 2 * row[-1] / (len(ours) + len(theirs))


METRICS: dict[str, Callable[[str, str], float]] = {
    "f1": f1,
    "exact_match": exact_match,
    "rouge_l": rouge_l,
}


def best(metric: str, text: str, references: Sequence[str]) -> float:
    """The metric against the closest of the references, in [0, 1]."""
    return max(METRICS[metric](text, reference) for reference in references)
