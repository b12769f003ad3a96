"""Reward models of other packages, found by their entry points."""

import sys
from pathlib import Path
from typing import Any

import pytest

from builders import make_candidates, make_request
from laserve.errors import ConfigError
from laserve.scoring import registry

MODULE = "laserve_test_plugins"
CODE = """
from laserve.errors import ConfigError

class Brevity:
    kind, free, needs_all = "brevity", False, False

    def __init__(self, *, encoder, unit="characters"):
        if unit not in ("characters", "words"):
            raise ConfigError.at("options.unit", "is neither characters nor words")
        if encoder is None:
            raise ValueError("encoder: is needed")
        self.encoder = encoder

    async def load(self): ...
    async def close(self): ...
    async def score(self, request, candidates):
        return [-len(candidate.text) for candidate in candidates]

class Open(Brevity):
    def __init__(self, *rest, encoder, unit="characters", **more):
        super().__init__(encoder=encoder, unit=unit)
        self.more = more

class Listing(Brevity):
    def __init__(self, *rest, encoder):
        super().__init__(encoder=encoder)

class Odd: ...

class Half:
    kind, free, needs_all = "half", False, False

    async def load(self): ...
    async def close(self): ...
    def open(self, request): ...

NOTHING = 3
"""
NAMES = {"brevity": "Brevity", "gone": "Gone", "odd": "Odd", "nothing": "NOTHING"}
NAMES |= {"open": "Open", "listing": "Listing", "half": "Half"}


def install(site: Path, distribution: str, entries: dict[str, str]) -> None:
    info = site / f"{distribution}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    lines = [f"{name} = {MODULE}:{value}" for name, value in entries.items()]
    (info / "entry_points.txt").write_text("\n".join(["[laserve.reward_models]", *lines, ""]))


@pytest.fixture(autouse=True)
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / f"{MODULE}.py").write_text(CODE)
    install(tmp_path, "first", NAMES)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    return tmp_path


def create(**options: Any) -> Any:
    return registry.create("python", options, {"encoder": "the encoder"})


async def test_an_installed_model_gets_its_options_and_the_parts_it_asks_for() -> None:
    model = create(name="brevity", unit="words")
    assert model.scorer.encoder == "the encoder"
    assert await model.open(make_request()).score(make_candidates("four")) == [-4]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"options.name: no installed package has a reward model None"),
        (
            {"name": "os"},
            r"options.name: no .* 'os'; there are: .*brevity, gone, half, listing, nothing, odd, open",
        ),
        ({"name": "gone"}, r"options.name: 'gone' of first cannot be imported: .*Gone"),
        ({"name": "nothing"}, r"options.name: 'nothing' of first is neither a class nor a function"),
        (
            {"name": "odd"},
            r"options.name: 'odd' is not a reward model: it has no kind, free, needs_all, load",
        ),
        ({"name": "half"}, r"options.name: 'half' is not a reward model: it has no reads_ahead$"),
        ({"name": "brevity", "size": 1}, r"options.size: kind 'python' has no option 'size'; it has: unit"),
        ({"name": "brevity", "encoder": 1}, r"options.encoder: kind 'python' has no option 'encoder'"),
        ({"name": "brevity", "unit": "m"}, r"options.unit: is neither"),
    ],
)
def test_what_is_wrong_with_a_plugin_names_the_option(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{message}") as caught:
        create(**options)
    assert caught.value.message.startswith(f"{caught.value.param}: ")


def test_another_error_of_a_plugin_is_of_its_options_whatever_its_text_says() -> None:
    with pytest.raises(ConfigError, match=r"^options: encoder: is needed") as caught:
        registry.create("python", {"name": "brevity"}, {"encoder": None})
    assert caught.value.param == "options"


def test_a_plugin_that_takes_any_option_gets_those_that_it_does_not_name() -> None:
    model = create(name="open", unit="words", size=3, cache={"mb": 1}).scorer
    assert (model.encoder, model.more) == ("the encoder", {"size": 3, "cache": {"mb": 1}})
    assert create(name="open").scorer.more == {}


def test_a_plugin_that_takes_any_option_still_has_its_parts_from_the_service_alone() -> None:
    with pytest.raises(ConfigError, match=r"options.encoder: kind 'python' has no option 'encoder'"):
        create(name="open", encoder=1)


def test_a_plugin_with_a_list_of_arguments_loads_and_has_no_option_of_that_name() -> None:
    assert create(name="listing").scorer.encoder == "the encoder"
    for option in ("rest", "size"):
        with pytest.raises(ConfigError, match=f"options.{option}: .* has no option '{option}'; it has: none"):
            create(name="listing", **{option: 1})


def test_a_name_that_several_packages_claim_is_refused(site: Path) -> None:
    install(site, "second", {"brevity": "Odd"})
    with pytest.raises(ConfigError, match=r"several packages have 'brevity': (first, second|second, first)"):
        create(name="brevity")


def test_an_option_that_a_kind_needs_is_asked_for() -> None:
    with pytest.raises(ConfigError, match=r"options.url: kind 'judge' requires this option"):
        registry.create("judge", {}, {})
