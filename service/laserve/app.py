"""The composition root: settings -> stages -> FastAPI. The only module that knows implementations."""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from typing import Any

from fastapi import FastAPI

from laserve import __version__
from laserve.api import arms as arms_api
from laserve.api import bandit, decisions, errors, export, feedback, generate, health
from laserve.api.admission import BodyLimit, CancelOnDisconnect, CountRequests, Permits
from laserve.api.service import Service
from laserve.bandit.exploration import Exploration
from laserve.bandit.registry import Policies, learners
from laserve.config import ArmSettings, FeedbackSettings, PolicySettings, Settings, read_prior
from laserve.embedding import Encoder, HashEncoder, SentenceEncoder
from laserve.errors import ConfigError, LaserveError, StoreError
from laserve.generation.base import Generator
from laserve.metrics import Metrics
from laserve.models import resolve
from laserve.scoring.allowed import Allowed
from laserve.scoring.engines import PoolingEngines
from laserve.scoring.identity import arm_fingerprint
from laserve.selection.answering import Answerer
from laserve.selection.arm import Arm
from laserve.selection.arms import Arms
from laserve.selection.changing import take_fingerprints
from laserve.selection.context import ContextBuilder, Features
from laserve.selection.evaluating import Evaluator
from laserve.selection.feedback import FeedbackLog
from laserve.selection.learner import Learner
from laserve.selection.lifecycle import Lifecycle
from laserve.selection.making import make_arm
from laserve.selection.observing import Observer
from laserve.selection.opening import open_log
from laserve.selection.retention import Retention, hash_key
from laserve.selection.reward_range import RewardRange
from laserve.selection.shadowing import Shadows
from laserve.selection.window import DefaultRewards, Window
from laserve.storage.base import Store
from laserve.storage.sql import SqlStore

logger = logging.getLogger(__name__)

_EXPIRE_EVERY_S = 3600.0
_MEND_EVERY_S = 1.0
#: Seconds between two looks at whether an arm has loaded.
_LOOK_EVERY_S = 0.1


def make_store(settings: Settings, *, read_only: bool = False) -> Store:
    """The configured store; `read_only` looks at one that a running service may hold."""
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
    return SentenceEncoder(resolve(name, settings.cache_dir.expanduser(), logger.info))


def make_generator(settings: Settings, metrics: Metrics, turn: threading.Lock) -> Generator:
    """The configured generator; `turn` is held while its engine starts."""
    generation = settings.generation
    match generation.kind:
        case "vllm":
            from laserve.generation.vllm import VllmGenerator

            model = resolve(generation.model, settings.cache_dir.expanduser(), logger.info)
            return VllmGenerator(generation, model, metrics, turn)
        case "openai":
            from laserve.generation.openai import OpenAIGenerator

            return OpenAIGenerator(generation)
        case "fake":
            from laserve.generation.fake import FakeGenerator

            try:
                return FakeGenerator(max_model_len=generation.max_model_len, **generation.engine_args)
            except TypeError as error:
                raise ConfigError(f"generation.engine_args: {error}") from error


def make_shared(settings: Settings, encoder: Encoder, engines: PoolingEngines) -> Mapping[str, Any]:
    """Parts of the service that a kind of arm may ask for by name."""
    return {"encoder": encoder, "cache_dir": settings.cache_dir.expanduser(), "engines": engines}


def make_arms(settings: Settings, shared: Mapping[str, Any], metrics: Metrics) -> Arms:
    arms = []
    for place, arm in enumerate(settings.arms):
        try:
            arms.append(make_arm(arm, shared, metrics))
        except ConfigError as error:
            raise ConfigError(f"arms.{place}.{error.message}") from error
    return Arms(arms, metrics=metrics)


def make_policies(policy: PolicySettings, arms: Callable[[], Sequence[str]]) -> Policies:
    """The policies by name.

    Args:
        arms: gives the names that ``fixed:ARM`` may take now.

    Raises:
        ConfigError: there is no policy of the configured name.
    """
    parameters = {"alpha", "posterior_scale", "posterior_draws", "gap_scale"}
    exploration = Exploration(**policy.model_dump(include=set(Exploration.__dataclass_fields__)))
    observe = None
    if policy.mode == "observe" and policy.observe_arm is not None:
        observe = (policy.observe_arm, policy.live_share)
    made = Policies(
        learners=learners(exploration=exploration, **policy.model_dump(include=parameters)),
        arms=arms,
        configured=policy.name,
        observe=observe,
    )
    try:
        made.get(policy.name)
    except LaserveError as error:
        raise ConfigError(f"policy.name: {error.message.removeprefix('policy: ')}") from error
    return made


def make_lifecycle(
    settings: Settings,
    *,
    arms: Arms,
    learner: Learner,
    log: FeedbackLog,
    build: Callable[[ArmSettings], Arm],
) -> Lifecycle:
    policy, _, fixed = settings.policy.name.partition(":")
    kept = settings.policy.observe_arm if settings.policy.mode == "observe" else None
    scoring = settings.scoring
    return Lifecycle(
        arms=arms,
        configured=settings.arms,
        learner=learner,
        log=log,
        build=build,
        allowed=Allowed(kinds=scoring.allow_kinds, folders=settings.arm_folders, urls=scoring.allow_urls),
        limit=scoring.max_arms,
        kept=fixed if policy == "fixed" else kept,
        fingerprint=lambda arm: arm_fingerprint(arm.kind, arm.options),
        on_change=settings.policy.on_change,
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


def make_service(settings: Settings) -> Service:
    """Wire all parts; nothing is opened or loaded yet.

    Raises:
        ConfigError: a setting names a part that does not exist.
    """
    metrics = Metrics()
    store = make_store(settings)
    encoder = make_encoder(settings)
    context = ContextBuilder(
        encoder=encoder, features=Features.read(settings.context.features), tasks=settings.context.tasks
    )
    turn = threading.Lock()
    engines = PoolingEngines(metrics=metrics, turn=turn, held=True)
    shared = make_shared(settings, encoder, engines)
    arms = make_arms(settings, shared, metrics)
    generator = make_generator(settings, metrics, turn)
    learner = Learner(seed=settings.policy.seed, tasks=settings.context.tasks)
    policies = make_policies(settings.policy, lambda: arms.offered)
    permits = Permits(settings.server.max_concurrent_requests or generator.concurrency, metrics=metrics)
    shadows = Shadows(
        arms=arms,
        store=store,
        metrics=metrics,
        share=settings.scoring.shadow_share,
        seed=settings.policy.seed,
        busy=lambda: permits.busy,
        blend=learner.blend,
    )
    log = FeedbackLog(
        store=store,
        learner=learner,
        metrics=metrics,
        snapshot_every=settings.storage.snapshot_every,
        learn_from=settings.policy.learn_from,
        settled=shadows.settled,
        alone=arms.scores_alone,
        reward_range=RewardRange(*settings.feedback.reward_range),
    )
    return Service(
        settings=settings,
        metrics=metrics,
        store=store,
        generator=generator,
        context=context,
        arms=arms,
        engines=engines,
        learner=learner,
        answerer=Answerer(
            generator=generator,
            context=context,
            arms=arms,
            learner=learner,
            policies=policies,
            store=store,
            retention=make_retention(settings),
            observer=Observer(metrics, tasks=settings.context.tasks),
            window=make_window(settings.feedback),
            shadows=shadows,
        ),
        shadows=shadows,
        feedback=log,
        evaluator=Evaluator(store=store, policy=policies.get(settings.policy.name)),
        lifecycle=make_lifecycle(
            settings,
            arms=arms,
            learner=learner,
            log=log,
            build=lambda arm: make_arm(arm, shared, metrics),
        ),
        permits=permits,
    )


@asynccontextmanager
async def running(service: Service) -> AsyncIterator[Service]:
    """Open what must agree before anything is served: the store, the encoder and the log.

    Raises:
        ConfigError: a setting is wrong or contradicts the log, or another process holds the store.
        CorruptLog: the log does not verify.
    """
    policy = service.settings.policy
    async with AsyncExitStack() as stack:
        stack.push_async_callback(service.store.close)
        await service.store.open()
        stack.push_async_callback(service.context.encoder.close)
        await service.context.encoder.load()
        service.context.check()
        await open_log(
            store=service.store,
            learner=service.learner,
            context=service.context,
            arms=[arm.name for arm in service.arms],
            prior={
                "structure": policy.prior_structure,
                "embedding": policy.prior_embedding,
                "reward": policy.prior_reward,
            },
            discount=policy.discount,
            reward_scaling=policy.reward_scaling,
            learn_from=policy.learn_from,
            expected=None if policy.prior is None else read_prior(policy.prior),
            fingerprints=partial(take_fingerprints, service.settings.generation, service.settings.arms),
            on_change=policy.on_change,
        )
        service.lifecycle.restore()
        stack.push_async_callback(service.feedback.close)
        await service.feedback.start()
        defaults = DefaultRewards(store=service.store, feedback=service.feedback, metrics=service.metrics)
        stack.push_async_callback(defaults.close)
        await defaults.start()
        stack.push_async_callback(service.answerer.close)
        service.answerer.start()
        for name, chore in (("expire-texts", _expire), ("mend-store", _mend)):
            stack.push_async_callback(_ended, asyncio.create_task(chore(service), name=name))
        stack.push_async_callback(service.engines.close)
        stack.push_async_callback(service.arms.close)
        stack.push_async_callback(service.lifecycle.close)
        stack.push_async_callback(service.shadows.close)
        service.shadows.start()
        stack.push_async_callback(service.generator.close)
        yield service


async def load(service: Service, ready: Callable[[], None] = lambda: None) -> None:
    """Load the arms and the generator, while the service already answers ``/healthz``.

    The generator comes first among the engines: arms that have one of their own load beside it, but wait for
    it with that.

    Args:
        ready: called as soon as the service is, while other arms may still load.

    Raises:
        LaserveError: the generator cannot be loaded. An arm that cannot is reported and left out.
    """
    loading = asyncio.create_task(service.arms.load(), name="load-arms")
    try:
        await _load_generator(service)
        service.engines.open()
        while not loading.done() and service.status != "ready":
            await asyncio.wait({loading}, timeout=_LOOK_EVERY_S)
        if service.status == "ready":
            ready()
        await loading
    finally:
        loading.cancel()
        await asyncio.gather(loading, return_exceptions=True)


async def _load_generator(service: Service) -> None:
    try:
        await service.generator.start()
    except LaserveError:
        service.generator_state = "failed"
        raise
    service.permits.limit = service.settings.server.max_concurrent_requests or service.generator.concurrency
    service.generator_state = "ready"


def create_app(service: Service) -> FastAPI:
    """The HTTP application of a service that the caller runs and loads."""
    settings = service.settings
    app = FastAPI(
        title="laserve",
        version=__version__,
        summary="Best-of-n at inference time, with the reward model chosen per request.",
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    app.state.service = service
    errors.install(app)
    app.include_router(health.router)
    for resource in (generate, feedback, decisions, export, arms_api, bandit):
        app.include_router(resource.router)
        app.include_router(resource.router, prefix="/v1", include_in_schema=False)
    app.add_middleware(BodyLimit, max_bytes=settings.server.max_body_bytes)
    app.add_middleware(CancelOnDisconnect, underway=service.underway)
    app.add_middleware(CountRequests, metrics=service.metrics)
    return app


async def _ended(task: asyncio.Task[None]) -> None:
    """Cancel a task and wait until it has gone, so that nothing is closed that it still uses."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _expire(service: Service) -> None:
    """Remove texts as they grow older than ``storage.retention_days``."""
    while True:
        try:
            lost = await service.store.expire_texts(
                time.time() - service.settings.storage.retention_days * 86400
            )
        except StoreError as error:
            logger.warning("texts could not be expired: %s", error.message)
        else:
            if lost:
                logger.info("texts of %d decisions have expired", lost)
        await asyncio.sleep(_EXPIRE_EVERY_S)


async def _mend(service: Service) -> None:
    """Find out that the store takes writes again, also while nobody asks for a decision."""
    while True:
        await asyncio.sleep(_MEND_EVERY_S)
        if service.store.refusing:
            with suppress(StoreError):
                await service.store.check()
