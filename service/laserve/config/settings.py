"""All settings, and the checks across sections."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Self

from pydantic import Field, model_validator

from laserve.config.section import Section
from laserve.config.sections import (
    ArmSettings,
    ContextSettings,
    FeedbackSettings,
    GenerationSettings,
    LogSettings,
    PolicySettings,
    ScoringSettings,
    ServerSettings,
    StorageSettings,
)
from laserve.errors import ConfigError


class Settings(Section):
    """All settings; without arguments, the defaults."""

    data_dir: Path = Field(Path("~/.local/share/laserve"), description="Folder of the database.")
    cache_dir: Path = Field(Path("~/.cache/laserve"), description="Folder of prepared models.")
    server: ServerSettings = Field(default_factory=ServerSettings)
    generation: GenerationSettings = Field(default_factory=GenerationSettings)
    arms: tuple[ArmSettings, ...] = Field(
        (
            ArmSettings(name="loglik", kind="loglik"),
            ArmSettings(name="consensus", kind="consensus"),
            ArmSettings(name="relevance", kind="relevance"),
            ArmSettings(name="grounded", kind="vllm", options={"adapter": "grounded"}),
            ArmSettings(name="harmless", kind="vllm", options={"adapter": "harmless"}),
            ArmSettings(name="stepwise", kind="vllm", options={"adapter": "stepwise"}),
        ),
        min_length=1,
        description="The reward models, each with `name`, `kind` and `options`.",
    )
    scoring: ScoringSettings = Field(default_factory=ScoringSettings)
    policy: PolicySettings = Field(default_factory=PolicySettings)
    feedback: FeedbackSettings = Field(default_factory=FeedbackSettings)
    context: ContextSettings = Field(default_factory=ContextSettings)
    storage: StorageSettings = Field(default_factory=StorageSettings)
    log: LogSettings = Field(default_factory=LogSettings)

    @model_validator(mode="after")
    def _consistent(self) -> "Settings":
        names = [arm.name for arm in self.arms]
        if len(set(names)) != len(names):
            raise ConfigError.at("arms", "names must differ from each other")
        kind, _, arm = self.policy.name.partition(":")
        if kind == "fixed" and arm not in names:
            raise ConfigError.at(
                "policy.name", f"{self.policy.name!r} names no arm; there are: {', '.join(names)}"
            )
        if self.policy.mode == "observe":
            if self.policy.observe_arm not in names:
                raise ConfigError.at(
                    "policy.observe_arm", f"names no arm; mode 'observe' needs one of: {', '.join(names)}"
                )
            if kind.startswith("ensemble-"):
                raise ConfigError.at("policy.mode", f"{self.policy.name!r} draws no arm to observe")
        if self.policy.prior is not None and self.policy.reward_scaling != "none":
            raise ConfigError.at(
                "policy.prior", "is in unscaled rewards; set policy.reward_scaling to 'none'"
            )
        if self.feedback.default_reward is not None:
            low, high = self.feedback.reward_range
            if not low <= self.feedback.default_reward <= high:
                raise ConfigError.at(
                    "feedback.default_reward",
                    f"is outside of feedback.reward_range, {low:.12g} to {high:.12g}",
                )
            if self.feedback.wait_s is None:
                raise ConfigError.at(
                    "feedback.default_reward", "needs feedback.wait_s, after which it is learned"
                )
            if self.policy.learn_from not in ("reward", "thumb"):
                raise ConfigError.at(
                    "feedback.default_reward",
                    "is about the returned answer alone; set policy.learn_from to "
                    "'reward' or 'thumb', which are too",
                )
        return self

    @property
    def database(self) -> Path:
        return (self.storage.path or self.data_dir / "laserve.db").expanduser()

    @property
    def arm_folders(self) -> tuple[Path, ...]:
        """Allowed folders for models of arms that are added at run time."""
        folders = self.scoring.allow_folders
        return (self.data_dir / "models",) if folders is None else folders

    @classmethod
    def of(cls, layers: Sequence[Mapping[str, Any]]) -> Self:
        """The settings of several sources, highest precedence first; mappings are merged name by name.

        Raises:
            ValidationError: a setting is wrong or unknown.
            ConfigError: settings contradict each other.
        """
        merged: dict[str, Any] = {}
        for layer in layers:
            merged = _over(merged, layer)
        return cls.model_validate(merged)


@cache
def schema() -> dict[str, Any]:
    """JSON schema of all settings."""
    return Settings.model_json_schema()


def _over(high: Mapping[str, Any], low: Mapping[str, Any]) -> dict[str, Any]:
    """Values of the higher source, completed by those of the lower one, at any depth."""
    merged = {**low, **high}
    for name in low.keys() & high.keys():
        if isinstance(low[name], Mapping) and isinstance(high[name], Mapping):
            merged[name] = _over(high[name], low[name])
        elif isinstance(low[name], Mapping | list) and high[name] is None:  # empty, and so unset
            merged[name] = low[name]
    return merged
