"""TRL's RewardTrainer over groups of answers instead of pairs."""

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.functional import logsigmoid
from trl import RewardTrainer  # type: ignore[attr-defined,unused-ignore]

from laserve.lab.training.packing import scores


class GroupRewardTrainer(RewardTrainer):  # type: ignore[misc]
    """Bradley-Terry over all pairs of a group that differ in quality, each weighted by the difference.

    With s the scores and r the qualities of a group's answers, the loss of the group is the mean over the
    pairs with r_i > r_j of -(r_i - r_j) log sigmoid(s_i - s_j), over the mean difference (Bradley and Terry,
    1952; Ouyang et al., 2022, arXiv 2203.02155, equation 1, also takes all pairs of one prompt together).
    For pairs of chosen and rejected the loss equals RewardTrainer's. The prompt of a group is computed once.
    """

    def _prepare_dataset(self, dataset: Any, *args: Any, **kwargs: Any) -> Any:
        return dataset  # token ids already

    def compute_loss(
        self, model: Any, inputs: Sequence[dict[str, Any]], return_outputs: bool = False, **kwargs: Any
    ) -> Any:
        mode = "train" if model.training else "eval"
        losses, given = [], []
        for group in inputs:
            outputs = scores(model.get_base_model(), group["prompt"], group["answers"])
            loss, accuracy = pairwise(outputs, torch.tensor(group["rewards"], device=outputs.device))
            losses.append(loss + self.args.center_rewards_coefficient * outputs.square().mean())
            given.append(outputs.detach())
            self._metrics[mode]["accuracy"].append(accuracy)
        total = torch.stack(losses).mean()
        return (total, torch.cat(given)) if return_outputs else total


def pairwise(scores: torch.Tensor, rewards: torch.Tensor) -> tuple[torch.Tensor, float]:
    """Loss of a group, and the share of its pairs that the scores order rightly (a tie is half right).

    Args:
        scores: shape (n,), float32.
        rewards: shape (n,), in [0, 1], not all equal.
    """
    gaps = rewards[:, None] - rewards[None, :]
    better = gaps > 0
    difference = (scores[:, None] - scores[None, :])[better]
    weights = gaps[better] / gaps[better].sum()
    right = (difference > 0).float() + (difference == 0).float() / 2
    return -(weights * logsigmoid(difference)).sum(), float(right.mean())


def as_list(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Collator that returns the batch as a list of groups."""
    return groups
