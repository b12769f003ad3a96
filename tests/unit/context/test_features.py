from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from builders import make_documents, make_request, make_sampling
from laserve.context.features import QUESTION_WORDS, TASK_BUCKETS, ContextBuilder, Features
from laserve.errors import ConfigError
from laserve.models.encoder import HashEncoder
from laserve.types import Message, Request, Vector

TASKS = ("chat", "math")
E = 8
MEAN, SD = np.array([3.0, 0.8, 5.0, 1.0]), np.array([1.5, 0.4, 2.0, 0.5])


def features(e: int = E) -> Features:
    return Features(
        mean=MEAN,
        sd=SD,
        center=np.full(e, 0.1, dtype=np.float32),
        components=np.eye(3, e, dtype=np.float32),
        fingerprint="constants",
    )


def builder(tasks: tuple[str, ...] = TASKS) -> ContextBuilder:
    return ContextBuilder(encoder=HashEncoder(E), features=features(), tasks=tasks)


async def named(request: Request, prompt_tokens: int = 10) -> dict[str, float]:
    """The context as a mapping from names of features."""
    context = builder()
    x = await context.build(request, prompt_tokens)
    return dict(zip(context.names, x.tolist(), strict=True))


def hot(x: dict[str, float], prefix: str) -> list[str]:
    """Names of the features of one group that are not zero; each must be one."""
    nonzero = {name: value for name, value in x.items() if name.startswith(prefix) and value}
    assert set(nonzero.values()) <= {1.0}
    return list(nonzero)


REQUESTS = [
    make_request(question="Who built it?", task="math", documents=make_documents("a", "b")),
    make_request(prompt="", task="never heard of"),
    make_request(messages=(Message(role="user", content="Why?"),), sampling=make_sampling(n=64)),
]


@pytest.mark.parametrize("request_", REQUESTS, ids=["question", "prompt", "messages"])
@pytest.mark.parametrize("tasks", [(), TASKS], ids=["no tasks", "tasks"])
async def test_the_context_has_a_number_for_every_name(request_: Request, tasks: tuple[str, ...]) -> None:
    context = builder(tasks)
    x = await context.build(request_, 10)
    assert len(set(context.names)) == len(context.names) == context.dimension
    assert x.shape == (context.dimension,)
    assert x.dtype == np.float64
    assert np.isfinite(x).all()
    assert x[context.names.index("bias")] == 1.0


async def test_the_same_request_has_the_same_context() -> None:
    first, second = [await builder().build(REQUESTS[0], 10) for _ in range(2)]
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("task", TASKS)
async def test_a_declared_task_has_a_feature_of_its_own(task: str) -> None:
    x = await named(make_request(task=task))
    assert hot(x, "task:") == [f"task:{task}"]
    assert hot(x, "task_bucket:") == []


async def test_another_task_goes_to_a_bucket_that_depends_on_its_name_alone() -> None:
    x = await named(make_request(task="translation"))
    assert hot(x, "task:") == []
    assert len(hot(x, "task_bucket:")) == 1
    again = await named(make_request(task="translation", question="something else"))
    assert hot(again, "task_bucket:") == hot(x, "task_bucket:")


async def test_other_tasks_spread_over_all_buckets() -> None:
    buckets = {
        bucket
        for number in range(60)
        for bucket in hot(await named(make_request(task=f"task {number}")), "task_bucket:")
    }
    assert len(buckets) == TASK_BUCKETS


async def test_a_request_without_a_task_is_in_no_bucket() -> None:
    x = await named(make_request())
    assert hot(x, "task:") == hot(x, "task_bucket:") == []


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("Who built it", "who"),
        ("who?", "who"),
        ("In which year, and why", "which"),  # the first one counts
        ("tell me HOW", "how"),
        ("name the capital", "other"),
        ("whoever whatever", "other"),  # whole words only
        ("", "other"),
        *((word, word) for word in QUESTION_WORDS),
    ],
)
async def test_the_first_question_word_is_a_feature(query: str, word: str) -> None:
    assert hot(await named(make_request(prompt=query)), "word:") == [f"word:{word}"]


async def test_quantities_are_standardised() -> None:
    request = make_request(
        documents=make_documents("a", "b", "c"), sampling=make_sampling(n=16, temperature=1.2)
    )
    x = await named(request, prompt_tokens=99)
    raw = [4.0, 1.2, np.log(100), np.log(4)]
    scaled = [x[name] for name in ("log2_n", "temperature", "log_prompt_tokens", "log_documents")]
    np.testing.assert_allclose(scaled, (np.array(raw) - MEAN) / SD)


async def test_the_embedding_is_centred_and_projected() -> None:
    x = await named(make_request(question="the red fox"))
    (vector,) = await HashEncoder(E).encode(["the red fox"])
    projected = [x[f"embedding:{row}"] for row in range(3)]
    np.testing.assert_allclose(projected, vector[:3] - 0.1, rtol=1e-6)


def test_an_encoder_of_another_dimension_is_refused_by_name() -> None:
    context = ContextBuilder(encoder=HashEncoder(E + 1), features=features(), tasks=TASKS)
    with pytest.raises(ConfigError, match=r"^context\.encoder: has 9 dimensions, the constants 8"):
        context.check()


def test_the_ridge_tells_structure_from_embedding() -> None:
    context = builder()
    ridge = dict(zip(context.names, context.prior_diagonal(structure=1.5, embedding=30.0), strict=True))
    assert {name for name, value in ridge.items() if value == 30.0} == {
        f"embedding:{row}" for row in range(3)
    }
    assert {value for name, value in ridge.items() if not name.startswith("embedding:")} == {1.5}


@pytest.mark.parametrize("request_", REQUESTS, ids=["question", "prompt", "messages"])
async def test_the_prior_mean_predicts_the_same_reward_for_everything(request_: Request) -> None:
    context = builder()
    assert await context.build(request_, 10) @ context.prior_mean(0.25) == 0.25


def test_the_fingerprint_names_the_settings_that_must_not_change() -> None:
    assert builder().fingerprint() == {
        "context.encoder": "hash-8",
        "context.features": "constants",
        "context.tasks": ["chat", "math"],
    }


# the constants


def _gram(rows: Vector) -> Vector:
    return rows @ rows.T


async def test_the_shipped_constants_load_and_fit_the_default_encoder() -> None:
    shipped = Features.read()
    assert shipped.mean.shape == shipped.sd.shape == (4,)
    assert (shipped.sd > 0).all()
    assert shipped.center.shape == (384,)  # dimension of all-MiniLM-L6-v2 and of its fake
    rows = shipped.components.astype(np.float64)
    np.testing.assert_allclose(_gram(rows), np.eye(len(rows)), atol=1e-5)
    context = ContextBuilder(encoder=HashEncoder(), features=shipped, tasks=TASKS)
    context.check()
    assert (await context.build(make_request(), 10)).shape == (context.dimension,)


def tensors() -> dict[str, np.ndarray]:
    made = features()
    return {"mean": made.mean, "sd": made.sd, "center": made.center, "components": made.components}


def test_constants_are_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "features.safetensors"
    save_file(tensors(), path)
    read = Features.read(path)
    np.testing.assert_array_equal(read.mean, MEAN)
    np.testing.assert_array_equal(read.components, features().components)


def test_other_constants_have_another_fingerprint(tmp_path: Path) -> None:
    path = tmp_path / "features.safetensors"
    save_file(tensors(), path)
    first = Features.read(path).fingerprint
    save_file(tensors() | {"mean": MEAN + 1e-9}, path)
    assert Features.read(path).fingerprint != first


@pytest.mark.parametrize("fault", ["absent", "text", "torn", "incomplete"])
def test_constants_that_cannot_be_read_are_refused_by_name(fault: str, tmp_path: Path) -> None:
    path = tmp_path / "features.safetensors"
    if fault == "text":
        path.write_text("no constants")
    elif fault == "incomplete":
        save_file({"mean": MEAN}, path)
    elif fault == "torn":
        save_file(tensors(), path)
        path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(ConfigError, match=r"^context\.features: cannot read") as caught:
        Features.read(path)
    assert str(path) in caught.value.message
