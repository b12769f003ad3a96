"""Another generator or reward model than at the last start: what was learned widens, once."""

import asyncio
import json
from pathlib import Path

import pytest

from acceptance.restarts import ARMS, salted, started
from acceptance.wire import Service
from laserve.history.verify import verify_store
from laserve.storage.store import SqlStore


def widths(service: Service) -> dict[str, float]:
    """Of one and the same request."""
    return {why["arm"]: why["width"] for why in service.generate()["why"]}


def learn(service: Service) -> None:
    for arm in ("loglik", "ours"):
        for _ in range(3):
            service.rate(service.decide(policy=f"fixed:{arm}"), reward=1)


def changes(service: Service) -> list[dict[str, object]]:
    rows = service.rows("select payload from events where kind = 'change' order by position")
    return [json.loads(payload)["body"] for (payload,) in rows]


def test_another_generator_widens_all_arms_once_and_is_told_everywhere(tmp_path: Path) -> None:
    with started(tmp_path, **salted("a")) as service:
        learn(service)
        narrow, learned = widths(service), service.policy()
        assert (changes(service), learned["changes"]) == ([], [])
        assert service.sample("laserve_changes", what="generator") == 0

    with started(tmp_path, **salted("b")) as service:
        wide, policy = widths(service), service.policy()
        assert narrow.keys() == wide.keys() == {"loglik", "ours"}
        assert all(narrow[arm] < wide[arm] for arm in narrow)
        (change,) = changes(service)
        before, after = learned["fingerprints"]["generator"], policy["fingerprints"]["generator"]
        assert change == {"what": "generator", "before": before, "after": after, "kept": 0.5}
        assert before != after
        told = {"position": learned["log_position"] + 1, "decisions": 6, "arm": None}
        assert policy["changes"] == [change | told]
        assert f"the generator has changed ({after}, was {before}); 50%" in service.server.output()
        assert [arm["mean_reward"] for arm in policy["arms"]] == [1, 1]

    with started(tmp_path, **salted("b")) as service:
        assert service.policy()["digest"] == policy["digest"]
        assert widths(service) == pytest.approx(wide)
    assert asyncio.run(verify_store(SqlStore(tmp_path / "laserve.db"))).digest == policy["digest"]


def test_another_reward_model_under_the_name_of_an_arm_widens_that_arm_alone(tmp_path: Path) -> None:
    with started(tmp_path) as service:
        learn(service)
        early = service.decide(policy="fixed:ours")
        service.rate(early, reward=1)
        narrow = widths(service)

    other = [ARMS[0], ARMS[1] | {"options": {"salt": "b"}, "timeout_s": 9.0}]
    with started(tmp_path, ARMS=other, POLICY__ON_CHANGE="0.25") as service:
        wide = widths(service)
        assert wide["loglik"] == pytest.approx(narrow["loglik"])
        assert wide["ours"] > narrow["ours"]
        (change,) = changes(service)
        assert (change["what"], change["arm"], change["kept"]) == ("arm", "ours", 0.25)
        # What came before still may be corrected; it takes back what is left of it, and leaves the widths.
        service.rate(early, key="again", reward=0)
        assert widths(service) == pytest.approx(wide)

    with started(tmp_path, ARMS=[other[0], other[1] | {"timeout_s": 5.0}]) as service:
        assert len(changes(service)) == 1
        assert widths(service)["loglik"] == pytest.approx(narrow["loglik"])
