"""Direct preference optimization, and the losses of its kin, by TRL's names and formulas (`DPOTrainer`, TRL 1.16)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn.functional import logsigmoid

from interfaces.method_settings import DpoSettings
from trainer.methods.method import BatchLoss, Method, pair_metrics, sequences_of
from trainer.tokens.batches import Inputs


@dataclass(frozen=True)
class Ratios:
    """How much more likely each answer is than under the reference, in nats (pairs,), and its tokens."""

    chosen: torch.Tensor
    rejected: torch.Tensor
    chosen_tokens: torch.Tensor
    rejected_tokens: torch.Tensor

    @property
    def margin(self) -> torch.Tensor:
        return self.chosen - self.rejected

    @property
    def margin_per_token(self) -> torch.Tensor:
        return self.chosen / self.chosen_tokens - self.rejected / self.rejected_tokens


def _sigmoid(ratios: Ratios, of: DpoSettings) -> torch.Tensor:
    """Rafailov et al. 2023, arXiv:2305.18290, equation 7."""
    return -logsigmoid(of.beta * ratios.margin)


def _hinge(ratios: Ratios, of: DpoSettings) -> torch.Tensor:
    """SLiC, Zhao et al. 2023, arXiv:2305.10425, with the margin of the reference as in arXiv:2309.06657."""
    return torch.relu(1 - of.beta * ratios.margin)


def _ipo(ratios: Ratios, of: DpoSettings) -> torch.Tensor:
    """Azar et al. 2023, arXiv:2310.12036, equation 17, as a mean over tokens."""
    return (ratios.margin_per_token - 1 / (2 * of.beta)) ** 2


def _robust(ratios: Ratios, of: DpoSettings) -> torch.Tensor:
    """Chowdhury et al. 2024, arXiv:2403.00409, section 3.2."""
    scaled, wrong = of.beta * ratios.margin, of.label_smoothing
    return (-(1 - wrong) * logsigmoid(scaled) + wrong * logsigmoid(-scaled)) / (1 - 2 * wrong)


def _exo_pair(ratios: Ratios, of: DpoSettings) -> torch.Tensor:
    """Ji et al. 2024, arXiv:2402.00856, equation 16, for two answers."""
    scaled, wrong = of.beta * ratios.margin, torch.tensor(of.label_smoothing, device=ratios.chosen.device)
    right = torch.sigmoid(scaled) * (logsigmoid(scaled) - torch.log1p(-wrong))
    return right + torch.sigmoid(-scaled) * (logsigmoid(-scaled) - torch.log(wrong))


def _nca_pair(ratios: Ratios, of: DpoSettings) -> torch.Tensor:
    """Chen et al. 2024, arXiv:2402.05369, for two answers."""
    chosen, rejected = of.beta * ratios.chosen, of.beta * ratios.rejected
    return -logsigmoid(chosen) - 0.5 * logsigmoid(-chosen) - 0.5 * logsigmoid(-rejected)


def _bco_pair(ratios: Ratios, of: DpoSettings) -> torch.Tensor:
    """Jung et al. 2024, arXiv:2404.04656, for pairs and without the moving reward shift, as TRL has it."""
    return -logsigmoid(of.beta * ratios.chosen) - logsigmoid(-of.beta * ratios.rejected)


def _sppo_hard(ratios: Ratios, of: DpoSettings) -> torch.Tensor:
    """Wu et al. 2024, arXiv:2405.00675, equation 4.7, with the chosen answer preferred for certain."""
    return (ratios.chosen - 0.5 / of.beta) ** 2 + (ratios.rejected + 0.5 / of.beta) ** 2


def _apo_zero(ratios: Ratios, of: DpoSettings) -> torch.Tensor:
    """D'Oosterlinck et al. 2024, arXiv:2408.06266, equation 7."""
    return 1 - torch.sigmoid(of.beta * ratios.chosen) + torch.sigmoid(of.beta * ratios.rejected)


def _apo_down(ratios: Ratios, of: DpoSettings) -> torch.Tensor:
    """D'Oosterlinck et al. 2024, arXiv:2408.06266, equation 8."""
    return torch.sigmoid(of.beta * ratios.chosen) + 1 - torch.sigmoid(of.beta * ratios.margin)


def _sigmoid_norm(ratios: Ratios, of: DpoSettings) -> torch.Tensor:
    """The loss of DPO with ratios per token, as TRL has it."""
    return -logsigmoid(of.beta * ratios.margin_per_token)


LOSSES: dict[str, Callable[[Ratios, DpoSettings], torch.Tensor]] = {
    "sigmoid": _sigmoid, "hinge": _hinge, "ipo": _ipo, "robust": _robust, "exo_pair": _exo_pair, "nca_pair": _nca_pair,
    "bco_pair": _bco_pair, "sppo_hard": _sppo_hard, "apo_zero": _apo_zero, "apo_down": _apo_down,
    "sigmoid_norm": _sigmoid_norm,
}  # fmt: skip
"""The loss of each pair in nats (pairs,), by the name in the settings."""


class Dpo(Method):
    """The mean over pairs of a loss of how much likelier the model makes both answers than the reference does."""

    def items(self, batch: Inputs) -> int:
        return sequences_of(batch) // 2

    def loss(self, model: torch.nn.Module, batch: Inputs, items: int) -> BatchLoss:
        settings = self.config.dpo
        reference = self.reference_sums(model, batch)
        found = self.log_probs(model, batch, batch["labels"])
        sums = found.sums()
        ratios, tokens = sums - reference, sums.new_tensor(found.counts)
        sides = Ratios(ratios[0::2], ratios[1::2], tokens[0::2], tokens[1::2])
        loss = LOSSES[settings.loss_type](sides, settings).sum() / items
        return BatchLoss(loss, pair_metrics(settings.beta * ratios, sums))
