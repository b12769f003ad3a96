"""Metrics of an answer against reference answers, each in [0, 1].

Question answering: token F1, exact match, ROUGE-L. Normalisation and F1 as in SQuAD (Rajpurkar et al., 2016,
section 6.1): lower case, no punctuation, no English articles, white space folded. With several references the
best one counts.

Other tasks of LongBench (Bai et al., 2024, arXiv 2308.14508): `classification`, `retrieval`, `count` and
`code_similarity`, as in its published evaluation.

Problems with a number as their answer, and multiple choice: `final_number` and `choice`.
"""

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal

from rapidfuzz.distance import LCSseq

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_NUMBER = re.compile(r"\d+")
#: A number in words: the sign, unless it is a minus between two numbers, and the digits with their commas.
_QUANTITY = re.compile(
    r"(?P<sign>(?<![\w)\]])[-\u2212])?\$?(?P<digits>(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+)"
)
#: Statements of the chosen letter, in the order in which they are tried.
_CHOICES = (
    re.compile(r"\b(?i:answer)(?i:\s+is)?\s*:?(?i:\s+option|\s+choice)?\s*\(?([A-D])(?:\)|(?!\w))"),
    re.compile(r"\A\s*([A-D])(?:[).:]|\s*\Z)"),
    re.compile(r"\b(?i:option|choice)\s+\(?([A-D])(?:\)|(?!\w))"),
    re.compile(r"\(([A-D])\)"),
)
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


def final_number(text: str, reference: str) -> float:
    """1 where the last numbers of both texts are equal, else 0; also 0 where one of them has none.

    Commas between thousands, a dollar sign and zeros at the end of a fraction do not count.
    """
    ours, theirs = _last_number(text), _last_number(reference)
    return float(ours is not None and ours == theirs)


def _last_number(text: str) -> Decimal | None:
    numbers = list(_QUANTITY.finditer(text))
    if not numbers:
        return None
    last = numbers[-1]
    size = Decimal(last["digits"].replace(",", ""))
    return -size if last["sign"] else size


def choice(text: str, reference: str) -> float:
    """1 where the text chooses the letter of the reference, A to D, else 0.

    The letter is looked for in this order: in statements such as "The correct answer is (A)" or "Answer: A";
    at the start of the text, "A." or "A)", or "A" alone; after "option" or "choice"; in brackets, "(A)".
    Asterisks do not count. The first of these forms that the text has decides; if it names several letters,
    the text chooses none.
    """
    return float(_chosen(text) == reference.strip())


def _chosen(text: str) -> str | None:
    plain = text.replace("*", "")
    for pattern in _CHOICES:
        if letters := set(pattern.findall(plain)):
            return letters.pop() if len(letters) == 1 else None
    return None


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
