"""Built-in questions."""

from laserve.lab.data.built_in import built_in


def test_built_in_questions_are_rows_with_right_answers_in_their_documents() -> None:
    rows = built_in()
    assert len({row.key for row in rows}) == len(rows) > 50
    for row in rows:
        assert row.request.question
        assert row.task
        assert row.metric == "f1"
        text = " ".join(document.text for document in row.request.documents).lower()
        assert any(reference.lower() in text for reference in row.references), row.id


def test_built_in_questions_on_equal_documents_have_one_source() -> None:
    rows = built_in()
    assert len({row.source for row in rows}) == len({row.request.documents for row in rows})
