"""Rows with fewer documents, and with passages of long documents."""

from hypothesis import given
from hypothesis import strategies as st

from builders import make_request, make_row
from laserve.lab.data.documents import cut, first_documents, in_passages
from laserve.types import Document

FILLER = " ".join(f"word{index}" for index in range(900))
ANSWER = "Ada  Thorn of Velm"
LONG = make_row(
    id="q1",
    request=make_request(
        question="who built the clock?",
        documents=(Document(title="a", text=f"{FILLER} {ANSWER} {FILLER}"), Document(title="b", text=FILLER)),
    ),
    references=("nobody at all", ANSWER),
)
FOUR = make_row(
    request=make_request(documents=tuple(Document(text=text) for text in "abcd")), references=("x",), gold=2
)


@given(keep=st.integers(1, 30), words=st.integers(20, 300))
def test_one_of_the_passages_holds_the_answer(keep: int, words: int) -> None:
    row = in_passages(LONG, keep, words=words)
    documents = row.request.documents
    assert 1 <= len(documents) <= keep
    assert all(len(document.text.split()) <= words for document in documents)
    assert row.gold is not None
    assert "Ada Thorn of Velm" in documents[row.gold].text
    assert documents[row.gold].title == "a"


def test_passages_do_not_overlap_and_are_the_same_each_time() -> None:
    passages = in_passages(LONG, 100, words=100).request.documents
    assert sorted(" ".join(one.text for one in passages).split()) == sorted(
        " ".join(one.text for one in LONG.request.documents).split()
    )
    assert in_passages(LONG, 5) == in_passages(LONG, 5)


def test_without_a_spelt_out_answer_passages_are_drawn_all_the_same() -> None:
    row = in_passages(
        make_row(request=make_request(documents=(Document(text=FILLER),)), references=("no such",)), 3
    )
    assert (len(row.request.documents), row.gold) == (3, None)


@given(count=st.integers(1, 6))
def test_a_cut_keeps_the_document_with_the_answer(count: int) -> None:
    row = first_documents(FOUR, count)
    texts = [document.text for document in row.request.documents]
    assert len(texts) == min(count, 4)
    assert row.gold is not None
    assert texts[row.gold] == "c"
    assert texts[:-1] == ["a", "b", "c", "d"][: len(texts) - 1]


def test_documents_are_cut_before_their_passages_and_the_source_stays() -> None:
    row = cut(LONG, documents=1, passages=2)
    assert row == in_passages(first_documents(LONG, 1), 2)
    assert {document.title for document in row.request.documents} == {"a"}
    assert row.source == LONG.source


def test_a_row_without_documents_and_one_that_is_not_cut_stay_the_same() -> None:
    plain = make_row(request=make_request(prompt="hello"))
    assert cut(plain, documents=1, passages=1) is plain
    assert cut(LONG) is LONG
