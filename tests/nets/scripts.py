"""Scripts: requests, feedback and changes of arms that a service of the fake profile turns into a log.

A recorded log is never changed. Where the code is to write another log on purpose, its script gets a new name
and a new log; the log of the old name stays, and must still be read.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from nets.play import Client, Play

LOGLIK = {"name": "loglik", "kind": "loglik"}
CONSENSUS = {"name": "consensus", "kind": "consensus"}
BLEND = {"name": "blend", "kind": "blend"}
DOCUMENTS = [
    {"title": "Orrin", "text": "The bridge of Orrin was opened in 1907 by the mayor, Ida Lund."},
    {"title": "Velm", "text": "Velm has a market and a harbour clock."},
]
TASKS = ["qa", "chat"]
#: Shares words with what the generator says.
ANSWER = "yes, the bridge was built with blue copper in the north"


def ours(salt: str) -> dict[str, Any]:
    """An arm with a reward model of its own."""
    return {"name": "ours", "kind": "fake", "options": {"salt": salt}}


async def ask(client: Client, number: int, **body: Any) -> str:
    """A decision on one of many questions."""
    return await client.generate(question=f"who built bridge {number}", documents=DOCUMENTS, **body)


async def references(play: Play) -> None:
    """References teach, which compare candidates; arms come and go; a generator and a model are replaced."""
    settings: dict[str, Any] = {
        "arms": [LOGLIK, ours("a"), BLEND],
        "policy": {"learn_from": "references", "epsilon_start": 0.3, "on_change": 0.5},
        "scoring": {"shadow_share": 1.0, "allow_kinds": ["fake"]},
        "feedback": {"wait_s": 60},
        "context": {"tasks": TASKS},
        "storage": {"snapshot_every": 18},
    }
    before = {"generation": {"engine_args": {"salt": "before"}}}
    async with play.service(**settings, **before) as client:
        first = await ask(client, 1, task="qa", metadata={"user": "a"})
        await client.feedback(first, references=["yes with the river", "1911"])
        await client.feedback(first, references=["yes with the river", "1911"], status="duplicate")
        await client.feedback(first, references=["blue"], status=409)
        await _speak_in_every_way(client)
        corrected = await ask(client, 2, task="chat")
        await client.feedback(corrected, references=["built with a clock"], metric="rouge_l", source="rater")
        await client.feedback(corrected, key="again", references=["Answer blue!"], metric="exact_match")
        for number in range(3, 6):
            decision = await ask(client, number, policy="random")
            await client.feedback(decision, references=["the bridge was built", f"three in river {number}"])
        await client.add_arm("guest", options={"salt": "guest"})
        several = [await ask(client, number, task="unheard of") for number in (6, 7)]
        await client.batch(*({"decision_id": each, "references": [ANSWER]} for each in several))
        late = await ask(client, 8)
        await client.wait(90)
        await client.feedback(late, references=[ANSWER], status="late")
        await client.move_arm("guest", "draining")
        await client.feedback(await ask(client, 9), references=[ANSWER])
        await client.move_arm("guest", "retired")
    after = {"generation": {"engine_args": {"salt": "after"}}}
    async with play.service(**settings | {"arms": [LOGLIK, ours("b"), BLEND]}, **after) as client:
        await client.feedback(await ask(client, 10, task="qa"), references=[ANSWER])
        await client.feedback(corrected, key="thrice", references=["a clock"], status="late")
        await client.move_arm("guest", "enabled")
        for number in (11, 12):
            await client.feedback(await ask(client, number, policy="ensemble-rank"), references=[ANSWER])
        await client.feedback(await ask(client, 13, n=6), references=[ANSWER])


async def _speak_in_every_way(client: Client) -> None:
    """Feedback of the kinds that do not teach, or on decisions that cannot."""
    decision = await client.generate(prompt="The bridge of Orrin was opened in", temperature=1.2)
    await client.feedback(decision, thumb="up")
    await client.feedback(decision, thumb="down", source="rater")
    await client.feedback(decision, reward=0.25)
    await client.feedback(decision, chosen_index=2)
    await client.feedback(decision, candidate_rewards=[0.0, 0.5, 0.75, 1.0])
    await client.feedback(decision, key="too high", chosen_index=4, status=422)
    messages = [
        {"role": "system", "content": "Answer briefly."},
        {"role": "user", "content": "When was it opened?"},
    ]
    pinned = await client.generate(messages=messages, arm="loglik", seed=7)
    await client.feedback(pinned, references=["1907"])


async def scaled(play: Play) -> None:
    """Rewards from -1 to 1 are scaled by their quantiles, old ones fade, and silence is a reward as well."""
    settings: dict[str, Any] = {
        "arms": [LOGLIK, CONSENSUS],
        "policy": {
            "name": "lints",
            "learn_from": "reward",
            "reward_scaling": "quantile",
            "discount": 0.9,
            "on_change": 0.25,
        },
        "feedback": {"reward_range": [-1, 1], "wait_s": 60, "default_reward": -0.5},
        "context": {"tasks": TASKS},
        "storage": {"snapshot_every": 25},
    }
    async with play.service(**settings) as client:
        for number in range(-15, 0):
            decision = await client.generate(prompt=f"what flows {number}", n=2)
            await client.feedback(decision, reward=-number / 16)
        for number in range(1, 9):
            decision = await ask(client, number, task=TASKS[number % 2])
            await client.feedback(decision, reward=(number * 5 % 8) / 4 - 1)
        await client.feedback(decision, candidate_rewards=[-1, 0, 0.5, 1])
        silent = [await ask(client, number) for number in (9, 10)]
        await client.wait(61)
        await client.feedback(silent[1], reward=0.75, status="late")
        await client.feedback(decision, key="again", reward=-0.125, status="late")
        await client.feedback(await ask(client, 11, policy="exp3"), reward=1)
        await client.feedback(await ask(client, 12, policy="fixed:consensus"), reward=0.5)
    async with play.service(**settings, generation={"max_model_len": 2000}) as client:
        await client.feedback(decision, key="thrice", reward=0.25, status="late")
        for number in range(13, 16):
            await client.feedback(await ask(client, number), reward=number / 16)
        waiting = await ask(client, 16)
        await client.feedback(waiting, thumb=1)


async def candidates(play: Play) -> None:
    """Each candidate has a reward, in a log that fades and blends; whose policy counts."""
    settings: dict[str, Any] = {
        "arms": [CONSENSUS, ours("a"), BLEND],
        "policy": {"name": "ucb1", "learn_from": "candidate_rewards", "discount": 0.95, "seed": 3},
        "scoring": {"shadow_share": 1.0},
        "feedback": {"reward_range": [0, 5]},
        "context": {"tasks": TASKS},
        "storage": {"snapshot_every": 10},
    }
    async with play.service(**settings) as client:
        for number in range(1, 9):
            decision = await ask(client, number, task=TASKS[number % 2], n=3)
            await client.feedback(decision, candidate_rewards=[number % 4, (number + 2) % 6, 2.5])
        await client.feedback(decision, key="again", candidate_rewards=[5, 0, 1.25])
    on_change = settings["policy"] | {"on_change": 0.75}
    replaced = {"arms": [CONSENSUS, ours("b"), BLEND], "policy": on_change}
    async with play.service(**settings | replaced) as client:
        await client.feedback(decision, key="thrice", candidate_rewards=[0, 5, 1])
        await client.feedback(await ask(client, 9, n=2), candidate_rewards=[1, 4])


async def thumbs(play: Play) -> None:
    """The first feedback settles what teaches; an arm joins with an expectation; the policy is observed."""
    prior = play.folder / "prior.json"
    prior.write_text(json.dumps({"loglik": {"reward": 0.25, "n": 4}, "guest": {"reward": 0.75, "n": 2.5}}))
    settings: dict[str, Any] = {
        "arms": [LOGLIK, CONSENSUS],
        "policy": {
            "name": "squarecb",
            "mode": "observe",
            "observe_arm": "consensus",
            "live_share": 0.5,
            "prior_structure": 3.0,
            "prior_reward": 0.25,
        },
        "context": {"tasks": TASKS},
    }
    expecting = settings["policy"] | {"prior": str(prior)}
    async with play.service(**settings | {"policy": expecting}) as client:
        await client.feedback(await ask(client, 1), thumb="up")
        await client.feedback(await ask(client, 2), reward=0.5)
        await client.feedback(await ask(client, 3, n=1, temperature=0), thumb=0)
    learning = settings["policy"] | {"learn_from": "thumb"}
    more = {
        "arms": [LOGLIK, CONSENSUS, ours("a")],
        "policy": learning,
        "feedback": {"wait_s": 30, "default_reward": 0.5},
    }
    async with play.service(**settings | more) as client:
        for number in range(4, 8):
            await client.feedback(await ask(client, number), thumb=number % 2)
        silent = await ask(client, 8)
        await client.wait(31)
        await client.feedback(silent, thumb="down", source="late rater", status="late")


#: Log -> the script that writes it again.
SCRIPTS: Mapping[str, Callable[[Play], Awaitable[None]]] = {
    "references": references,
    "scaled": scaled,
    "candidates": candidates,
    "thumbs": thumbs,
}
