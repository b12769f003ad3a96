"""Questions cut to fewer documents, and long documents cut to passages."""

from hypothesis import given
from hypothesis import strategies as st

from laserve.lab.data.questions import Question
from laserve.types import Document

FILLER = " ".join(f"word{index}" for index in range(900))
ANSWER = "Ada  Thorn of Velm"
LONG = Question(
    id="q1",
    task=None,
    question="who built the clock?",
    documents=(Document(title="a", text=f"{FILLER} {ANSWER} {FILLER}"), Document(title="b", text=FILLER)),
    answers=("nobody at all", ANSWER),
)


@given(keep=st.integers(1, 30), words=st.integers(20, 300))
def test_one_of_the_passages_holds_the_answer(keep: int, words: int) -> None:
    cut = LONG.passages(keep, words=words)
    assert 1 <= len(cut.documents) <= keep
    assert all(len(document.text.split()) <= words for document in cut.documents)
    assert cut.gold is not None
    assert "Ada Thorn of Velm" in cut.documents[cut.gold].text
    assert cut.documents[cut.gold].title == "a"


def test_passages_do_not_overlap_and_are_the_same_each_time() -> None:
    cut = LONG.passages(100, words=100)
    assert sorted(" ".join(d.text for d in cut.documents).split()) == sorted(
        " ".join(d.text for d in LONG.documents).split()
    )
    assert LONG.passages(5).documents == LONG.passages(5).documents


def test_without_a_spelt_out_answer_passages_are_drawn_all_the_same() -> None:
    cut = Question(
        id="q", task=None, question="?", documents=(Document(text=FILLER),), answers=("no such",)
    ).passages(3)
    assert len(cut.documents) == 3
    assert cut.gold is None


def test_questions_on_the_same_documents_have_one_source() -> None:
    other = Question(id="q2", task=None, question="when?", documents=LONG.documents, answers=("1874",))
    assert other.source == LONG.source != LONG.passages(2).source
