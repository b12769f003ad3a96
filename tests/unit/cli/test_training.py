"""The commands about reward models say what they do by default."""

from laserve.cli import main
from laserve.lab.training.train import Recipe


def test_the_help_of_train_rm_shows_the_defaults_of_the_recipe() -> None:
    shown = {
        option.name: option.show_default  # type: ignore[attr-defined]
        for option in main.commands["train-rm"].params
        if isinstance(getattr(option, "show_default", None), str)
    }
    recipe = Recipe()
    assert shown.keys() == {
        "base",
        "epochs",
        "learning_rate",
        "batch",
        "rank",
        "max_tokens",
        "hold_out",
        "seed",
    }
    assert {name: str(default) for name, default in shown.items()} == {
        name: f"{value:g}" if isinstance(value := getattr(recipe, name), float) else str(value)
        for name in shown
    }
