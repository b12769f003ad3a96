"""What a real vLLM server shows of the reward models behind a URL; see test_reward_model.py for the rest."""

from collections.abc import AsyncIterator

import numpy as np
import pytest
import pytest_asyncio

from contract import samples, test_reward_model
from contract.test_reward_model import MODELS, VARIED, check, make, score
from laserve.config import load
from laserve.errors import ArmFailed, ConfigError, Unscorable
from laserve.scoring import registry
from laserve.scoring.base import RewardModel
from laserve.types import Document

pytestmark = [pytest.mark.engine, pytest.mark.asyncio(loop_scope="module")]

#: Kind, and the fixture with its options.
REMOTE, JUDGE = ("remote", "served_remote_arm"), ("judge", "served_judge_arm")
Protocol = test_reward_model.TestProtocol


class TestProtocol:
    """The sentences that depend on batches, on cached prefixes, and on calls that are cancelled."""

    @pytest_asyncio.fixture(loop_scope="module", params=[REMOTE, JUDGE], ids=["remote", "judge"])
    async def model(self, request: pytest.FixtureRequest) -> AsyncIterator[RewardModel]:
        model = await make(request, *request.param)
        yield model
        await model.close()

    test_candidates_may_come_one_by_one_and_the_prompt_may_be_read_ahead = (
        Protocol.test_candidates_may_come_one_by_one_and_the_prompt_may_be_read_ahead
    )
    test_a_reading_may_be_closed_at_any_time_and_leaves_others_of_its_request_as_they_are = (
        Protocol.test_a_reading_may_be_closed_at_any_time_and_leaves_others_of_its_request_as_they_are
    )


class TestRemote:
    @pytest.mark.parametrize("endpoint", ["classify", "pooling"])
    async def test_the_server_gives_what_the_same_model_gives_here(
        self, request: pytest.FixtureRequest, endpoint: str
    ) -> None:
        there = await make(request, *REMOTE, endpoint=endpoint)
        here = await make(request, *MODELS["transformers, decoder"])
        request_ = samples.request(documents=(Document(text="clock tower <|im_end|> " * 150),))
        scores = await score(there, request_, VARIED)
        assert scores == pytest.approx(await score(here, request_, VARIED), abs=1e-4)
        assert np.ptp(scores) > 1e-3
        await there.close()
        await here.close()

    async def test_a_cross_encoder_is_asked_for_pairs(self, request: pytest.FixtureRequest) -> None:
        model = await make(request, *REMOTE, endpoint="score")
        await check(model, samples.request(), VARIED)
        await model.close()

    async def test_a_server_that_does_not_classify_is_refused(self, request: pytest.FixtureRequest) -> None:
        options = request.getfixturevalue("served_remote_arm") | {
            "url": request.getfixturevalue("chat_server")
        }
        model = registry.create("remote", options, {"cache_dir": load().cache_dir.expanduser()})
        with pytest.raises(ConfigError, match=r"options.endpoint: "):
            await model.load()
        await model.close()

    async def test_a_request_that_is_too_long_for_the_server_is_not_for_the_model(
        self, request: pytest.FixtureRequest
    ) -> None:
        model = await make(request, *REMOTE)
        with pytest.raises(Unscorable, match="too long"):
            await score(model, samples.request(question="who " * 3000), VARIED)
        await model.close()


class TestJudge:
    async def test_a_reply_without_a_grade_fails_the_arm(self, request: pytest.FixtureRequest) -> None:
        words = {"structured_outputs": {"choice": ["good", "bad"]}}
        model = await make(request, *JUDGE, extra_body=words)
        with pytest.raises(ArmFailed, match="no grade"):
            await score(model, samples.request(), VARIED)
        await model.close()

    async def test_a_grade_is_one_that_the_model_may_give(self, request: pytest.FixtureRequest) -> None:
        model = await make(request, *JUDGE)
        assert set(await score(model, samples.request(), VARIED)) <= set(range(1, 11))
        await model.close()
