"""The metrics whose values are looked up when they are read, not when something happens."""

from laserve.bandit.policies.ensembles import Ensemble
from laserve.service import Service
from laserve.types import task_labels


async def publish(service: Service) -> None:
    """Set these metrics of a service. A metric without a value is removed, and never 0."""
    service.arms.publish()
    _begin_counters(service)
    _publish_health(service)
    await _publish_storage(service)


def _begin_counters(service: Service) -> None:
    """Let the counters of the configured policy begin at 0 for the arms, before their first event."""
    policy, tasks = service.policies.configured, task_labels(service.settings.context.tasks)
    arms = [arm.name for arm in service.arms if arm.status == "enabled"]
    for arm in arms:
        service.metrics.begin_arm(arm)
    for label in (policy.name,) if isinstance(policy, Ensemble) else arms:
        service.metrics.begin_decisions(label, policy=policy.name, tasks=tasks)


def _publish_health(service: Service) -> None:
    metrics, policy = service.metrics, service.settings.policy
    metrics.ready.set(service.status == "ready" and not service.store.refusing)
    fixed = service.settings.server.max_concurrent_requests is not None
    known = fixed or service.generator_state == "ready"
    metrics.permits_limit.publish(service.permits.limit if known else None)
    metrics.policy_info.clear()
    learn_from = service.learner.state.learn_from or policy.learn_from or ""
    metrics.policy_info.labels(policy.name, policy.mode, learn_from).set(1)


async def _publish_storage(service: Service) -> None:
    metrics = service.metrics
    metrics.store_refusing.set(service.store.refusing)
    metrics.snapshot_age.publish(service.log.snapshot_age())
    space = await service.store.space()
    metrics.database_bytes.clear()
    for name, size in space.files.items() if space else ():
        metrics.database_bytes.labels(name).set(size)
    metrics.database_free_bytes.publish(space.free if space else None)
