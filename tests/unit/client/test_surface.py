"""Public surface of the package, compared with the surface of the service."""

import importlib.resources
import inspect
import tomllib
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

import laserve_client
from laserve.api.bodies import answers, bandit, requests
from laserve.api.errors import detail, respond
from laserve.errors import (
    ArmFailed,
    ConfigError,
    Conflict,
    CorruptLog,
    LaserveError,
    Overloaded,
)
from laserve_client import AsyncClient, Client
from laserve_client._errors import from_detail, from_response

METHODS = [
    "generate",
    "stream",
    "feedback",
    "feedback_batch",
    "decision",
    "delete",
    "export",
    "arms",
    "arm",
    "add_arm",
    "set_arm_state",
    "policy",
    "ready",
    "health",
]
#: Errors that no answer can hold.
INTERNAL = {ConfigError, CorruptLog, ArmFailed}


def public(thing: Any) -> set[str]:
    return {name for name in vars(thing) if not name.startswith("_")}


def test_all_is_exactly_the_public_surface():
    names = {
        name
        for name, value in vars(laserve_client).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert set(laserve_client.__all__) == names | {"__version__"}
    assert laserve_client.__all__ == sorted(laserve_client.__all__)


def test_every_module_is_private():
    package = Path(laserve_client.__file__).parent
    assert all(path.name.startswith("_") for path in package.glob("*.py"))


def test_every_public_name_says_what_it_is():
    for name in set(laserve_client.__all__) - {"__version__"}:
        assert vars(laserve_client)[name].__doc__, name
    for name in METHODS:
        assert getattr(Client, name).__doc__, name


def test_both_clients_have_the_same_methods_with_the_same_parameters_and_words():
    assert public(Client) == {*METHODS, "close"}
    assert public(AsyncClient) == {*METHODS, "aclose"}
    for name in METHODS:
        ours, theirs = getattr(Client, name), getattr(AsyncClient, name)
        assert inspect.signature(ours).parameters == inspect.signature(theirs).parameters, name
        assert ours.__doc__.replace("contextlib.closing", "contextlib.aclosing") == theirs.__doc__, name
        assert inspect.iscoroutinefunction(theirs) == (name not in ("stream", "export")), name
    assert list(inspect.signature(Client).parameters) == list(inspect.signature(AsyncClient).parameters)


def test_the_package_is_typed_and_depends_on_httpx_alone():
    assert importlib.resources.files(laserve_client).joinpath("py.typed").is_file()
    pyproject = Path(laserve_client.__file__).parents[1] / "pyproject.toml"
    assert tomllib.loads(pyproject.read_text())["project"]["dependencies"] == ["httpx>=0.28"]


async def test_clients_close_as_context_managers(monkeypatch):
    closed: list[str] = []

    class Transport(httpx.MockTransport):
        def close(self) -> None:
            closed.append("sync")

        async def aclose(self) -> None:
            closed.append("async")

    transport = Transport(lambda _request: httpx.Response(200, json={"arms": []}))
    with Client(transport=transport) as client:
        assert client.arms() == []
    async with AsyncClient(transport=transport) as twin:
        assert await twin.arms() == []
    assert closed == ["sync", "async"]


@pytest.mark.parametrize("client", [Client, AsyncClient])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"base_url": "http://[::1"}, "base_url: Invalid port"), ({"api_key": "schlüssel"}, "ascii")],
)
def test_an_address_or_a_key_without_its_form_is_refused(client, arguments, message):
    with pytest.raises(ValueError, match=message):
        client(**arguments)


@pytest.mark.parametrize(
    ("ours", "theirs", "elsewhere"),
    [
        (laserve_client.GenerateRequest, requests.GenerateBody, {"stream"}),
        (laserve_client.Message, requests.MessageBody, set()),
        (laserve_client.Document, requests.DocumentBody, set()),
        (laserve_client.Feedback, requests.FeedbackBody, {"decision_id"}),
        (laserve_client.FeedbackLine, requests.FeedbackBody, set()),
        (laserve_client.ArmSettings, requests.NewArmBody, {"name", "kind"}),
    ],
)
def test_requests_have_every_field_that_the_service_takes(ours, theirs, elsewhere):
    assert ours.__required_keys__ | ours.__optional_keys__ == set(theirs.model_fields) - elsewhere


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (laserve_client.Decision, answers.DecisionBody),
        (laserve_client.StoredDecision, answers.StoredDecision),
        (laserve_client.StoredFeedback, answers.StoredFeedbackBody),
        (laserve_client.Why, answers.WhyBody),
        (laserve_client.Usage, answers.UsageBody),
        (laserve_client.FeedbackOutcome, answers.FeedbackAnswer),
        (laserve_client.BatchOutcome, answers.LineAnswer),
        (laserve_client.Arm, answers.ArmBody),
        (laserve_client.PolicyArm, bandit.PolicyArm),
        (laserve_client.Change, bandit.ChangeBody),
        (laserve_client.RewardScale, bandit.RewardScale),
        (laserve_client.PolicyState, bandit.PolicyBody),
        (laserve_client.Readiness, answers.Readiness),
        (laserve_client.Health, answers.Health),
    ],
)
def test_answers_have_every_field_that_the_service_gives(ours, theirs):
    assert {field.name for field in fields(ours)} == set(theirs.model_fields)


def test_a_candidate_has_the_fields_of_a_decisions_and_of_a_streams():
    ours = {field.name for field in fields(laserve_client.Candidate)}
    assert ours == set(answers.CandidateBody.model_fields) | set(answers.CandidateEvent.model_fields)


def raised(kind: type[LaserveError] = LaserveError) -> list[type[LaserveError]]:
    return [kind, *(each for sub in kind.__subclasses__() if sub not in INTERNAL for each in raised(sub))]


@pytest.mark.parametrize("kind", raised())
def test_every_error_that_the_service_answers_has_the_same_class_alone_and_in_a_stream(kind):
    more = {Overloaded: {"retry_after": 3}, Conflict: {"stored": {"reward": 1}}}.get(kind, {})
    error = kind("what is wrong", **more)
    answer = respond(error)
    alone = from_response(
        httpx.Response(answer.status_code, content=answer.body, headers=dict(answer.headers))
    )
    streamed = from_detail(detail(error))
    assert type(alone) is type(streamed)
    assert alone.status == streamed.status == error.status
    assert (alone.code, alone.message, alone.detail) == (streamed.code, streamed.message, streamed.detail)
    assert (type(alone) is laserve_client.APIError) == (error.status == 500)
    assert alone.retry_after == getattr(error, "retry_after", None)
