"""Parts that cannot be made name the setting."""

from typing import Any

import pytest

from laserve.config import load
from laserve.errors import ConfigError
from laserve.metrics import Metrics
from laserve.scoring import registry
from laserve.serve.wiring import make_arms, make_policies


@pytest.mark.parametrize(
    ("arm", "param", "message"),
    [
        ({"kind": "nothing"}, "arms.1.kind", "arms.1.kind: unknown kind 'nothing'"),
        ({"options": {"size": 1}}, "arms.1.options.size", "arms.1.options.size: kind 'fake' has no option"),
        ({"options": {"fault": "x"}}, "arms.1.options.fault", "arms.1.options.fault: unknown fault 'x'"),
    ],
)
def test_an_arm_that_cannot_be_made_names_its_place_and_its_option(
    arm: dict[str, Any], param: str, message: str
) -> None:
    arms = [{"name": "one", "kind": "fake"}, {"name": "two", "kind": "fake"} | arm]
    with pytest.raises(ConfigError) as caught:
        make_arms(load(profile="fake", flags={"arms": arms}), {}, Metrics())
    assert caught.value.param == param
    assert caught.value.message.startswith(message)


def test_an_error_of_an_arm_that_names_no_option_is_of_the_arm(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise ConfigError("model: 'x' needs a package")

    monkeypatch.setattr(registry, "create", broken)
    with pytest.raises(ConfigError) as caught:
        make_arms(load(profile="fake"), {}, Metrics())
    assert (caught.value.param, caught.value.message) == ("arms.0", "arms.0: model: 'x' needs a package")


@pytest.mark.parametrize("name", ["policy: ucb1", "fixed:nobody"])
def test_a_policy_that_is_not_there_names_the_setting_and_the_whole_name(name: str) -> None:
    policy = load(profile="fake").policy.model_copy(update={"name": name})
    with pytest.raises(ConfigError) as caught:
        make_policies(policy, lambda: ("loglik",))
    assert caught.value.param == "policy.name"
    assert caught.value.message.startswith("policy.name: no ")
    assert name.removeprefix("fixed:") in caught.value.message
