"""No row is scored by an arm that was trained on it."""

from pathlib import Path

import numpy as np
import pytest

from builders import make_pool, make_pool_question
from laserve.errors import ConfigError
from laserve.lab.pools.held_out import REASON, Seen, cross_fitted, held_out
from laserve.lab.pools.pool import Pool


def pool(*sources: str) -> Pool:
    """Arm `one` scores 1, `two` scores 2, `other` 3."""
    return make_pool(
        *(
            make_pool_question({"one": [1.0], "two": [2.0], "other": [3.0]}, [0.5], source=source)
            for source in sources
        )
    )


@pytest.mark.parametrize(
    ("rows", "seen_before"), [({"q7"}, True), ({"article"}, True), ({"q8"}, False), (set(), False)]
)
def test_a_row_was_seen_by_its_id_or_by_its_source(rows: set[str], seen_before: bool) -> None:
    seen = Seen(rows={"one": frozenset(rows)})
    assert seen.has("one", id="q7", source="article") is seen_before
    assert not seen.has("two", id="q7", source="article")


def test_questions_that_an_arm_was_trained_on_are_left_out_and_counted() -> None:
    kept = held_out(pool("a", "b", "c"), Seen(rows={"one": frozenset({"a"}), "other": frozenset({"q3"})}))
    assert [question.source for question in kept.questions] == ["b"]
    assert kept.left_out == {REASON: 2}


def test_an_arm_that_is_not_in_the_pool_leaves_nothing_out() -> None:
    assert len(held_out(pool("a"), Seen(rows={"elsewhere": frozenset({"a"})})).questions) == 1


def test_a_pool_of_which_every_question_was_seen_is_refused() -> None:
    with pytest.raises(ConfigError, match="every question"):
        held_out(pool("a", "b"), Seen(rows={"one": frozenset({"a", "b"})}))


def test_a_cross_fitted_arm_has_the_scores_of_the_part_that_has_not_seen_the_row() -> None:
    seen = Seen(rows={"one": frozenset({"a", "c"}), "two": frozenset({"b", "c"})})
    fitted = cross_fitted(pool("a", "b", "c", "d"), "ours", ["one", "two"], seen)
    assert fitted.arms == ("other", "ours")
    scores = [float(question.scores["ours"][0]) for question in fitted.questions]
    np.testing.assert_equal(scores, [2.0, 1.0, np.nan, 1.0])
    assert len(held_out(fitted, seen).questions) == 4, "the whole was trained on none of them"


@pytest.mark.parametrize(
    ("name", "parts", "message"),
    [("ours", ["one", "three"], "no arm 'three'"), ("other", ["one"], "another arm")],
)
def test_a_cross_fit_of_unknown_parts_or_with_a_taken_name_is_refused(
    name: str, parts: list[str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        cross_fitted(pool("a"), name, parts, Seen())


def test_a_part_may_give_its_name_to_the_whole() -> None:
    assert cross_fitted(pool("a"), "one", ["one", "two"], Seen()).arms == ("other", "one")


def test_an_arm_that_is_not_there_is_refused_by_name() -> None:
    seen = Seen(rows={"one": frozenset({"a"}), "onne": frozenset({"b"})})
    seen.check(["one", "onne"])
    with pytest.raises(ConfigError, match="no arm 'onne'; there are: one, two"):
        seen.check(["one", "two"])


def test_what_arms_were_trained_on_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "seen.json"
    path.write_text('{"one": ["a", "q2"]}')
    assert Seen.read(path) == Seen(rows={"one": frozenset({"a", "q2"})})
    for wrong in ("no json", "[1]", '{"one": [1]}', '{"one": 1}'):
        path.write_text(wrong)
        with pytest.raises(ConfigError, match="--trained-on"):
            Seen.read(path)
