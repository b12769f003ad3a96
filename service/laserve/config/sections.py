"""The sections of the settings; their descriptions are their documentation."""

import math
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, model_validator

from laserve.config.section import Name, Options, Section

MAX_CANDIDATES = 64
#: Labels of requests without a caller: no keys are configured, or the key was not read; and refused with 401.
ANONYMOUS, UNAUTHORIZED = NO_CALLERS = ("anonymous", "unauthorized")


def _ascending(ends: tuple[float, float]) -> tuple[float, float]:
    low, high = ends
    if not 0 < high - low < math.inf:
        raise ValueError("give two numbers, the lower one first")
    return ends


def _named_callers(keys: dict[str, SecretStr]) -> dict[str, SecretStr]:
    for name in NO_CALLERS:
        if name in keys:
            raise ValueError(
                f"{name!r} stands for requests without a key in the metrics; choose another name"
            )
    return keys


class ServerSettings(Section):
    """The HTTP server."""

    host: str = Field("127.0.0.1", description="Address to listen on; also `LASERVE_HOST`, `HOST`.")
    port: int = Field(
        8000,
        ge=0,
        le=65535,
        description="Port to listen on, 0 for any free one; also `LASERVE_PORT`, `PORT`.",
    )
    max_concurrent_requests: int | None = Field(
        None,
        ge=1,
        description="Most requests to `/generate` under way at once; further ones are answered 429. "
        "By default 4 a core with a CPU engine, else 256.",
    )
    max_body_bytes: int = Field(4 * 2**20, ge=1024, description="Largest request body; a larger one is 413.")
    heartbeat_s: float = Field(15.0, gt=0, description="Seconds between comments that keep a stream open.")
    drain_s: float = Field(
        20.0, gt=0, le=3600, description="Seconds that requests under way may take to finish at a stop."
    )
    api_keys: Annotated[
        dict[Name, Annotated[SecretStr, Field(min_length=1)]], AfterValidator(_named_callers)
    ] = Field(
        default_factory=dict,
        description="Caller's name -> secret, sent as `Authorization: Bearer SECRET`; empty serves everyone. "
        "The names `anonymous` and `unauthorized` are taken.",
    )


class SamplingDefaults(Section):
    """Sampling parameters of a request that does not set them."""

    n: int = Field(8, ge=1, le=MAX_CANDIDATES, description="Number of candidates.")
    temperature: float = Field(0.8, ge=0, le=2, description="Softmax temperature.")
    top_p: float = Field(0.9, gt=0, le=1, description="Nucleus mass.")
    max_tokens: int = Field(128, ge=1, description="Longest candidate, in tokens.")
    timeout_s: float = Field(120.0, gt=0, le=3600, description="Seconds to wait for candidates.")

    @model_validator(mode="after")
    def _candidates_differ(self) -> "SamplingDefaults":
        if self.temperature == 0 and self.n > 1:
            raise ValueError(
                f"temperature 0 gives {self.n} equal candidates; use n = 1 or a temperature above 0"
            )
        return self


class GenerationSettings(Section):
    """The generator of candidates."""

    kind: Literal["vllm", "openai", "fake"] = Field(
        "vllm", description="`vllm` in this process, `openai` for a vLLM server by URL, or `fake`."
    )
    model: str = Field(
        "smollm2-135m-instruct",
        description="A folder, a packaged model, a hub's model in Hugging Face's cache (`laserve models "
        "--download` fetches it), or the name that the server serves.",
    )
    max_model_len: int | None = Field(
        None, ge=64, description="Longest prompt and candidate together; by default the model's own."
    )
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = Field(
        "auto", description="Type of the weights."
    )
    kv_cache_bytes: int | None = Field(
        None,
        ge=2**20,
        description="Memory for the KV cache; by default vLLM's choice on a GPU, and on a CPU what the "
        "admitted requests need, at most 2 GiB.",
    )
    engine_args: Options = Field(
        default_factory=dict,
        description="More of vLLM's `AsyncEngineArgs`, by their own names; for `fake`, `delay_s` and `salt`.",
    )
    url: str | None = Field(None, description="Base URL of the vLLM server, for `openai`.")
    api_key: SecretStr | None = Field(None, description="Bearer token for that server.")
    defaults: SamplingDefaults = Field(default_factory=SamplingDefaults)

    @model_validator(mode="after")
    def _fits_its_kind(self) -> "GenerationSettings":
        if (self.kind == "openai") != (self.url is not None):
            raise ValueError("url belongs to kind 'openai', which needs it")
        if self.api_key is not None and self.kind != "openai":
            raise ValueError("api_key belongs to kind 'openai'")
        for name in ("engine_args", "kv_cache_bytes"):
            if getattr(self, name) and self.kind == "openai":
                raise ValueError(f"{name}: kind 'openai' takes none; the server at url has its own")
        return self


class ArmSettings(Section):
    """One arm: a reward model that the policy can choose."""

    name: Name = Field(description="Name in answers, metrics and the log.")
    kind: str = Field(description="One of the scorer kinds.")
    options: Options = Field(default_factory=dict, description="Options of that kind.")
    timeout_s: float = Field(30.0, gt=0, description="Seconds that the arm may take for one request.")
    circuit_failures: int = Field(
        5, ge=1, description="Consecutive failures after which the arm is not chosen."
    )
    circuit_open_s: float = Field(
        10.0, gt=0, le=600, description="Seconds until the arm is tried again; doubled after each failure."
    )
    overlap: Literal["auto", "on", "off"] = Field(
        "auto",
        description="Whether the arm reads the prompt while candidates are generated; `auto` measures.",
    )


class ScoringSettings(Section):
    """Bounds on arms that are added while the service runs, and shadow scoring."""

    allow_kinds: tuple[str, ...] = Field(
        ("loglik", "consensus", "relevance", "vllm", "transformers"),
        description="Kinds that `POST /arms` may add; an empty list allows none.",
    )
    allow_folders: tuple[Path, ...] | None = Field(
        None,
        description="Folders in which the models of added arms must lie, unless they are packaged; "
        "by default `models` in the data folder.",
    )
    allow_urls: tuple[str, ...] = Field(
        (), description="URLs at or below which the servers of added arms must be."
    )
    max_arms: int = Field(32, ge=1, description="Largest number of arms, in any state.")
    shadow_share: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Share of the requests that all arms score after the answer, so that feedback on their "
        "candidates teaches every arm.",
    )


class PolicySettings(Section):
    """The policy, which chooses the arm."""

    name: str = Field(
        "linucb",
        description="`linucb`, `lints`, `squarecb`, `epsilon-greedy`, `ucb1`, `exp3`, `classifier`, "
        "`random`, `round-robin`, `fixed:ARM`, `ensemble-mean` or `ensemble-rank`.",
    )
    mode: Literal["live", "observe"] = Field(
        "live",
        description="`observe`: `policy.observe_arm` answers, and the arm that the policy would have drawn "
        "is logged.",
    )
    observe_arm: str | None = Field(None, description="Arm that answers in mode `observe`.")
    live_share: float = Field(
        0.0, ge=0, le=1, description="Share of the requests that the policy answers in mode `observe`."
    )
    alpha: float = Field(0.3, ge=0, description="LinUCB's weight on the confidence width.")
    posterior_scale: float = Field(
        0.25, ge=0, description="LinTS's deviation of the posterior, in units of the confidence width."
    )
    posterior_draws: int = Field(
        100, ge=1, le=10_000, description="LinTS's draws from each arm's posterior for a decision."
    )
    gap_scale: float = Field(
        10.0, gt=0, description="SquareCB's greed: how fast chances fall as an arm is predicted worse."
    )
    epsilon: float = Field(0.02, ge=0, le=1, description="Share of uniform exploration in the long run.")
    epsilon_start: float = Field(0.1, ge=0, le=1, description="Share of uniform exploration at the start.")
    epsilon_start_decisions: int = Field(
        2000, ge=0, description="Number of learned decisions until `policy.epsilon` applies."
    )
    discount: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Factor on the weight of a learned decision for each further one; below 1, old decisions "
        "fade. A log keeps the value that it was started with.",
    )
    reward_scaling: Literal["none", "quantile"] = Field(
        "none",
        description="`quantile`: rewards are scaled by the 20% and 80% quantiles of earlier rewards before "
        "they are learned, as in LASeR. A log keeps the value that it was started with.",
    )
    on_change: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Share of the learned sums that is kept when the generator, its template or a reward "
        "model is replaced; 1 only notes the change, 0 forgets.",
    )
    seed: int = Field(0, ge=0, description="Seed of every draw, together with the decision's id.")
    prior_structure: float = Field(30.0, gt=0, description="Ridge on the bias and the structural features.")
    prior_embedding: float = Field(30.0, gt=0, description="Ridge on the embedding features.")
    prior_reward: float = Field(0.5, ge=0, le=1, description="Prior mean reward of the first arms.")
    prior: Path | None = Field(
        None,
        description="JSON file of `laserve evaluate-rm --prior-out`: expected rewards of arms that join the "
        "log, as pseudo-observations.",
    )
    learn_from: Literal["reward", "thumb", "chosen_index", "candidate_rewards", "references"] | None = Field(
        None, description="Kind of feedback that teaches; by default the kind of the first feedback."
    )


class FeedbackSettings(Section):
    """The range of rewards, and the window for feedback."""

    reward_range: Annotated[tuple[float, float], AfterValidator(_ascending)] = Field(
        (0.0, 1.0),
        description="Lowest and highest `reward` (and number in `candidate_rewards`) that clients send; they "
        "are learned as 0 and 1, values between in proportion.",
    )

    wait_s: float | None = Field(
        None,
        gt=0,
        description="Seconds after a decision in which feedback is expected; later feedback still counts, "
        "with the status `late`.",
    )
    default_reward: float | None = Field(
        None,
        description="Reward that a decision learns unless feedback has taught it within `feedback.wait_s`, "
        "in `feedback.reward_range`; none by default.",
    )


class ContextSettings(Section):
    """The context features of a request."""

    encoder: str = Field(
        "all-minilm-l6-v2",
        description="Folder of a sentence encoder, a packaged encoder, or `hash` (a fake).",
    )
    tasks: tuple[Name, ...] = Field(
        ("single-doc-qa", "multi-doc-qa", "summarization", "math", "chat"),
        description="Tasks with a feature and a metric label of their own.",
    )
    features: Path | None = Field(
        None,
        description="Constants of the features, from `laserve fit-context`; by default the shipped ones.",
    )

    @model_validator(mode="after")
    def _tasks_differ(self) -> "ContextSettings":
        if len(set(self.tasks)) != len(self.tasks):
            raise ValueError("tasks must differ from each other")
        return self


class StorageSettings(Section):
    """Storage of decisions and of the event log."""

    kind: Literal["sqlite", "memory"] = Field(
        "sqlite", description="`sqlite` in the data folder, or `memory`, which is lost when the process ends."
    )
    path: Path | None = Field(None, description="SQLite file; by default `laserve.db` in the data folder.")
    max_bytes: int | None = Field(
        None,
        ge=2**20,
        description="Largest size of the database; writes beyond it are refused with 503.",
    )
    snapshot_every: int = Field(1000, ge=1, description="Events between two snapshots of the state.")
    retention: Literal["full", "hash", "none"] = Field(
        "full",
        description="Form in which prompts, candidates, references and metadata are kept: in full, as "
        "hashes, or not at all.",
    )
    retention_days: float = Field(30.0, gt=0, description="Days until kept texts are removed.")
    hash_key: SecretStr | None = Field(
        None,
        description="Key of the hashes under retention `hash`; by default a random key in the data folder.",
    )


class LogSettings(Section):
    """Log lines on standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Lowest severity that is written."
    )
    format: Literal["text", "json"] = Field("text", description="Lines for people, or a JSON object each.")
