"""First weights of an adapter that are taken from the base model (PiSSA) or from the data (EVA), by PEFT's own code."""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from peft import EvaConfig, PeftModel, get_eva_state_dict
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file

from interfaces.errors import FineTuneError
from interfaces.problems import Code
from trainer.artifacts.stored_weights import ADAPTER_WEIGHTS
from trainer.methods.method import Collate
from trainer.tokens.batches import Inputs
from trainer.tokens.token_store import IGNORE_INDEX, TokenSequence
from trainer.training.master_weights import SAVED

PISSA = "pissa_niter_16"
"""PEFT's name of PiSSA by a fast decomposition, whose error after 16 iterations is close to none (section 5 there)."""
EVA_BATCHES = 32
"""The most batches that EVA reads, again and again until the directions no longer change."""
EVA_TOKENS = 2
"""The trained tokens in a batch of EVA's, as a multiple of the rank: fewer than the rank have too few directions."""


class Residual:
    """A base model without the part of its weights that an adapter begins with (PiSSA, arXiv:2404.02948, section 3).

    For everyone else, the adapter belongs to the base model as it is. There it is what training has changed,
    B A - B0 A0 = [B, -B0] [A; A0]: plain LoRA of twice the rank (section 3, "efficient conversion").
    """

    def __init__(self, model: PeftModel, checkpoint: Path | None = None) -> None:
        """Take the first weights out of the base of a new adapter: those of a `checkpoint`, or new ones.

        Raises:
            FineTuneError: the adapter is on embeddings, too.
        """
        self._model = model
        self._trained = {name: weight for name, weight in model.named_parameters() if "lora_" in name}
        if any("lora_embedding" in name for name in self._trained):  # PEFT's PiSSA is for matrix products alone
            raise FineTuneError.of(Code.VALUES_CONFLICT, field="lora.init_lora_weights", other="lora.target_modules")
        layers = [layer for layer in model.modules() if isinstance(layer, LoraLayer) and "default" in layer.lora_A]
        if checkpoint is not None:
            self._copy(self._halves(checkpoint, 1))
        for layer in layers:
            if checkpoint is None:
                # Now, because PEFT would round them to the base's format if it did this while it adds the adapter.
                layer.pissa_init("default", PISSA)
            else:
                _take_out(layer)
        self._beside = {
            name: one for name, one in model.named_parameters() if one.requires_grad and "lora_" not in name
        }
        self.first = {name: weight.detach().clone() for name, weight in self._trained.items()}

    @contextlib.contextmanager
    def as_plain_lora(self) -> Iterator[dict[str, torch.Tensor]]:
        """Describe the adapter as plain LoRA while it is saved, and yield its weights by their names."""
        described = self._model.peft_config["default"]
        plain: Any = copy.deepcopy(described)
        plain.r, plain.rank_pattern = 2 * plain.r, {name: 2 * rank for name, rank in plain.rank_pattern.items()}
        factor = math.sqrt(2) if plain.use_rslora else 2  # the same scaling at twice the rank
        plain.lora_alpha *= factor
        plain.alpha_pattern = {name: factor * alpha for name, alpha in plain.alpha_pattern.items()}
        weights = dict(self._model.state_dict())
        for name, first in self.first.items():
            is_up = "lora_B" in name
            weights[name] = torch.cat([weights[name], -first if is_up else first], dim=1 if is_up else 0)
        self._model.peft_config["default"] = plain
        try:
            yield weights
        finally:
            self._model.peft_config["default"] = described

    def load(self, checkpoint: Path) -> None:
        """Take over the trained weights of a checkpoint, also those of a reward model's head."""
        self._copy(self._halves(checkpoint, 0))
        stored = load_file(checkpoint / ADAPTER_WEIGHTS)
        with torch.no_grad():
            for name, weight in self._beside.items():
                weight.copy_(stored[name.replace(SAVED, "")])

    def _halves(self, checkpoint: Path, half: int) -> dict[str, torch.Tensor]:
        """Return the trained (0) or the first (1) weights of a checkpoint by their names."""
        stored, found = load_file(checkpoint / ADAPTER_WEIGHTS), {}
        for name in self._trained:
            is_up = "lora_B" in name
            part = stored[name.replace(".default", "")].chunk(2, dim=1 if is_up else 0)[half]
            found[name] = -part if is_up and half else part
        return found

    @torch.no_grad()
    def _copy(self, weights: dict[str, torch.Tensor]) -> None:
        for name, weight in self._trained.items():
            weight.copy_(weights[name])


@torch.no_grad()
def _take_out(layer: Any) -> None:
    """Subtract an adapter from the weights of its base layer, by the operations of PEFT's `pissa_init`."""
    base = layer.get_base_layer()
    up, down = layer.lora_B["default"].weight, layer.lora_A["default"].weight
    rest = _turned(base.weight.float(), layer) - layer.scaling["default"] * up @ down
    base.weight.data = _turned(rest.to(base.weight.dtype), layer)


def _turned(weight: torch.Tensor, layer: Any) -> torch.Tensor:
    """Return the weight of a layer as (outputs, inputs), or back."""
    return weight.T if layer.fan_in_fan_out else weight


@torch.no_grad()
def begin_with_data(
    model: PeftModel, rows: Sequence[TokenSequence], collate: Collate, check: Callable[[], None]
) -> None:
    """Set A of each layer to the main directions of its inputs at trained tokens (EVA, arXiv:2410.07170, section 3).

    Ranks stay as they are. `check` is called before each batch, and may raise to stop.

    Raises:
        FineTuneError: a rank is larger than the layer's inputs, or than the number of trained tokens.
    """
    layers = {name: layer for name, layer in model.named_modules() if isinstance(layer, LoraLayer)}
    rank = max(layer.r["default"] for layer in layers.values())
    least = min(layer.in_features for layer in layers.values())
    if rank > least:
        raise FineTuneError.of(
            Code.VALUE_INVALID, field="lora.r", value=str(rank), expected="at_most_inputs_for_eva", known=least
        )
    batches = _eva_batches(rows, rank)
    if not batches:
        raise FineTuneError.of(Code.VALUE_INVALID, field="lora.r", value=str(rank), expected="at_most_tokens_for_eva")

    def forward(adapted: Any, inputs: Inputs) -> None:
        check()
        body = adapted.get_base_model().get_decoder()
        body(**{name: value for name, value in inputs.items() if name != "labels"}, use_cache=False)

    settings = copy.deepcopy(model.peft_config["default"])
    settings.eva_config = EvaConfig(rho=1.0)  # no other ranks than those asked for
    directions = get_eva_state_dict(
        model, [collate(batch) for batch in batches], settings, forward_fn=forward, show_progress_bar=False
    )
    for name, found in directions.items():
        layers[name].lora_A["default"].weight.copy_(found)


def _eva_batches(rows: Sequence[TokenSequence], rank: int) -> list[list[TokenSequence]]:
    """Return batches from all over the rows, each with enough trained tokens for the rank; none if there are too few."""
    batches: list[list[TokenSequence]] = []
    batch: list[TokenSequence] = []
    trained = 0
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0)).tolist()
    for place in order:
        batch.append(rows[place])
        trained += sum(label != IGNORE_INDEX for label in rows[place]["labels"][1:])
        if trained >= EVA_TOKENS * rank:
            batches.append(batch)
            batch, trained = [], 0
        if len(batches) == EVA_BATCHES:
            break
    return batches or ([batch] if trained >= rank else [])
