"""Options of the kinds of reward models."""

from pathlib import Path
from typing import Any

import pytest

from laserve.errors import ConfigError
from laserve.scoring import registry


@pytest.mark.parametrize(
    ("kind", "options", "reason"),
    [
        ("fake", {"salt": 1.1}, "options.salt: write a text, in quotes"),
        ("fake", {"salt": True}, "options.salt: write a text, in quotes"),
        ("fake", {"salt": None}, "options.salt: write a text, in quotes"),
        ("fake", {"salt": ["a"]}, "options.salt: write a text, in quotes"),
        ("fake", {"fault": 5}, "options.fault: write a text, in quotes"),
        ("fake", {"fail": "no"}, "options.fail: write true or false"),
        ("fake", {"fail": 0}, "options.fail: write true or false"),
        ("fake", {"fail_after": "8:30"}, "options.fail_after: write a whole number"),
        ("fake", {"fail_after": 1.5}, "options.fail_after: write a whole number"),
        ("fake", {"fail_after": True}, "options.fail_after: write a whole number"),
        ("fake", {"delay_s": "64"}, "options.delay_s: write a number"),
        ("transformers", {"model": 1.1}, "options.model: write a text, in quotes"),
        (
            "transformers",
            {"model": "m", "trust_remote_code": "no"},
            "options.trust_remote_code: write true or",
        ),
    ],
)
def test_an_option_of_another_type_is_refused_with_what_to_write(
    kind: str, options: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        registry.create(kind, options, {"cache_dir": Path()})
    assert caught.value.message.startswith(reason)
    assert caught.value.param == reason.partition(":")[0]


@pytest.mark.parametrize(
    "options", [{"salt": "1.10"}, {"fault": None}, {"delay_s": 0}, {"fail": False}, {"fail_after": None}]
)
def test_an_option_of_its_own_type_is_taken(options: dict[str, Any]) -> None:
    assert registry.create("fake", options, {}).kind == "fake"
