"""The training methods, and the settings of each, by TRL's names. `trainer/methods/` has a module for each one."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from interfaces.lora_settings import setting

FULL_RATES = 0.1, 0.05
"""The lowest and highest usual learning rates of full fine-tuning, as shares of those for LoRA: "LoRA Without Regret"
(Schulman and Thinking Machines 2025) finds a tenth, and high rates cost more where all weights move."""
Rows = Literal["answers", "texts", "pairs", "labels"]
"""What a method trains on: conversations and texts, texts alone, a chosen and a rejected answer, or judged answers."""


class MethodSettings(BaseModel):
    """The settings of a method, and what a run with it takes."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True, allow_inf_nan=False)

    rows: ClassVar[Rows] = "answers"
    sequences: ClassVar[int] = 1
    """Sequences of tokens in a batch for each of its examples."""
    reference: ClassVar[int] = 0
    """Sequences for each example that the model without its adapter reads as well, without gradients."""
    unlearned: ClassVar[int] = 0
    """Sequences for each example that the trained model reads without gradients."""

    generates: ClassVar[bool] = True
    """Whether the result answers prompts. Otherwise it scores answers."""

    learning_rates: ClassVar[tuple[float, float]] = (2e-5, 2e-3)
    """The lowest and highest usual rate for LoRA. For fine-tuning: a factor of four to five around the rates of the LoRA
    paper (arXiv:2106.09685, 1e-4 to 5e-4) and QLoRA's (arXiv:2305.14314, 1e-4 to 2e-4)."""

    @property
    def least_batch(self) -> int:
        """The fewest examples in a batch."""
        return 1


class SftSettings(MethodSettings):
    """Supervised fine-tuning."""

    loss_type: Literal["nll", "dft"] = setting(
        "nll",
        "nll: cross-entropy. dft: weights each token by its probability, which generalizes better (arXiv:2508.05629).",
        "method",
    )


class PretrainSettings(MethodSettings):
    """Continued pre-training on plain text, in packed batches. It has no settings of its own."""

    rows: ClassVar[Rows] = "texts"


class PreferenceSettings(MethodSettings):
    """What the methods that compare answers have in common."""

    learning_rates: ClassVar[tuple[float, float]] = (4e-6, 1e-4)
    """For LoRA: around 5e-6 (the alignment handbook's DPO with QLoRA) for 7B parameters, and 1e-4 for the starter model."""


class DpoSettings(PreferenceSettings):
    """Direct preference optimization (arXiv:2305.18290)."""

    rows: ClassVar[Rows] = "pairs"
    sequences: ClassVar[int] = 2
    reference: ClassVar[int] = 2

    beta: float = setting(
        0.1, "How closely the model stays to the base model: higher stays closer.", "method", basic=True, gt=0, le=100
    )
    loss_type: Literal[
        "sigmoid", "hinge", "ipo", "robust", "exo_pair", "nca_pair", "bco_pair", "sppo_hard", "apo_zero", "apo_down",
        "sigmoid_norm",
    ] = setting("sigmoid", "The loss, by its name in TRL. sigmoid is that of the DPO paper.", "method")  # fmt: skip
    label_smoothing: float = setting(
        0.0, "Fraction of pairs assumed to be labeled wrongly; used by robust and exo_pair.", "method", ge=0, lt=0.5
    )


class OrpoSettings(PreferenceSettings):
    """Odds-ratio preference optimization (arXiv:2403.07691): fine-tuning on the chosen answer, away from the rejected."""

    rows: ClassVar[Rows] = "pairs"
    sequences: ClassVar[int] = 2

    beta: float = setting(
        0.1, "Weight of the odds-ratio loss beside the loss of the chosen answer.", "method", basic=True, gt=0, le=100
    )


class KtoSettings(PreferenceSettings):
    """Kahneman-Tversky optimization (arXiv:2402.01306): from single answers, each desired or not."""

    rows: ClassVar[Rows] = "labels"
    reference: ClassVar[int] = 2
    unlearned: ClassVar[int] = 1

    beta: float = setting(
        0.1, "How closely the model stays to the base model: higher stays closer.", "method", basic=True, gt=0, le=100
    )
    loss_type: Literal["kto", "apo_zero_unpaired"] = setting("kto", "The loss, by its name in TRL.", "method")
    desirable_weight: float = setting(1.0, "Weight of the losses of desired answers.", "method", gt=0, le=100)
    undesirable_weight: float = setting(1.0, "Weight of the losses of undesired answers.", "method", gt=0, le=100)

    @property
    def least_batch(self) -> int:
        """KTO's own loss compares each answer with those to other prompts of the batch."""
        return 2 if self.loss_type == "kto" else 1


class RewardSettings(MethodSettings):
    """Reward modeling: a head that scores answers, from pairs of them (arXiv:2203.02155)."""

    rows: ClassVar[Rows] = "pairs"
    sequences: ClassVar[int] = 2
    generates: ClassVar[bool] = False
    learning_rates: ClassVar[tuple[float, float]] = (2e-5, 1e-3)
    """For LoRA: TRL's 1e-4 for all weights to its 1e-3 for adapters, and below."""

    center_rewards_coefficient: float = setting(
        0.0, "Keeps scores near 0 by this weight (TRL suggests 0.01); 0 leaves them.", "method", ge=0, le=100
    )


METHODS: dict[str, type[MethodSettings]] = {
    "sft": SftSettings, "pretrain": PretrainSettings, "dpo": DpoSettings, "orpo": OrpoSettings, "kto": KtoSettings,
    "reward": RewardSettings,
}  # fmt: skip
"""The settings of each method by its name, in the order in which they are offered."""
Method = Literal["sft", "pretrain", "dpo", "orpo", "kto", "reward"]


def methods_for(rows: Rows) -> list[str]:
    """Return the methods that train on such rows."""
    return [name for name, settings in METHODS.items() if settings.rows == rows]
