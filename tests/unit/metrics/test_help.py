"""Help texts that stand alone."""

import re

import pytest
from prometheus_client.metrics import MetricWrapperBase

from laserve.metrics import Metrics

#: The collectors as they were declared, by their order.
DECLARED: dict[str, MetricWrapperBase] = {
    value._name: value for value in vars(Metrics()).values() if isinstance(value, MetricWrapperBase)
}
every = pytest.mark.parametrize("metric", DECLARED.values(), ids=DECLARED)


def test_every_metric_of_the_registry_is_declared_as_an_attribute() -> None:
    assert {family.name for family in Metrics().registry.collect()} == DECLARED.keys()


@every
def test_a_help_text_is_made_of_whole_sentences(metric: MetricWrapperBase) -> None:
    text = metric._documentation
    sentences = re.split(r"(?<=\.) (?=[A-Z0-9`])", text)
    assert len(sentences[0].split()) >= 5
    assert all(re.match(r"[A-Z0-9].*\.$", sentence) for sentence in sentences)
    assert "\n" not in text
    assert "  " not in text


@every
def test_a_help_text_explains_each_label_once_and_no_other(metric: MetricWrapperBase) -> None:
    explained = re.findall(r"(?:^|\. )Label `(\w+)`: \S", metric._documentation)
    assert explained == list(metric._labelnames)


@every
def test_a_help_text_names_its_unit(metric: MetricWrapperBase) -> None:
    name, text = metric._name, metric._documentation
    for unit in ("seconds", "bytes"):
        assert (unit in name) <= text.startswith(unit.capitalize())


def test_no_two_metrics_have_one_help_text() -> None:
    texts = [metric._documentation for metric in DECLARED.values()]
    assert len(set(texts)) == len(texts)
