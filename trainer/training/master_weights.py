"""32-bit copies of 16-bit weights, which the optimizer updates instead of them.

A 16-bit weight can't take an update of less than 1/256 of itself (Micikevicius et al. 2018, arXiv:1710.03740, section
3.1). Gradients are added up in 32 bits too.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import PreTrainedModel

from trainer.artifacts.stored_weights import ADAPTER_WEIGHTS

SAVED = ".modules_to_save.default"
"""What PEFT inserts into the name of a layer that is trained beside an adapter."""


class MasterWeights:
    """Copies of some weights of a model. Weights that are frozen, or in 32 bits already, need none."""

    def __init__(self, model: PreTrainedModel, copied: Iterable[torch.nn.Parameter]) -> None:
        self._model = model
        self._copies: dict[torch.nn.Parameter, torch.nn.Parameter] = {}
        for weight in copied:
            if weight.requires_grad and weight.dtype in (torch.bfloat16, torch.float16):
                self._copies[weight] = torch.nn.Parameter(weight.detach().float())
                weight.register_post_accumulate_grad_hook(self._take_gradient)

    def of(self, weight: torch.nn.Parameter) -> torch.nn.Parameter:
        """Return what the optimizer has to update: the copy of a weight, or the weight itself."""
        return self._copies.get(weight, weight)

    @property
    def trained(self) -> list[torch.nn.Parameter]:
        """What the optimizer updates."""
        return [self.of(weight) for weight in self._model.parameters() if weight.requires_grad]

    def attach_to(self, optimizer: torch.optim.Optimizer) -> None:
        """Let a new optimizer update the copies, and the model take them over after each step."""
        for group in optimizer.param_groups:
            group["params"] = [self.of(weight) for weight in group["params"]]
        manager = getattr(optimizer, "mng", None)  # of bitsandbytes
        if manager is not None:  # transformers has chosen 32 bits for the moments of embeddings, not of their copies
            tables = {
                id(one)
                for module in self._model.modules()
                if isinstance(module, torch.nn.Embedding)
                for one in module.parameters()
            }
            copies = [copy for weight, copy in self._copies.items() if id(weight) in tables]
            manager.override_config(copies, "optim_bits", 32)
        optimizer.register_step_post_hook(lambda *_: self._publish())

    def weights(self) -> dict[str, torch.Tensor]:
        """Return the model's weights by their names, each as exactly as it is known."""
        named = self._model.state_dict(keep_vars=True)
        return {name: self.of(value).detach() for name, value in named.items()}

    @torch.no_grad()
    def load(self, model: PreTrainedModel) -> None:
        """Take over the weights of another model of the same shape."""
        for ours, theirs in zip(self._model.parameters(), model.parameters(), strict=True):
            self.of(ours).copy_(theirs)
        self._publish()

    @torch.no_grad()
    def load_adapter(self, folder: Path) -> None:
        """Take over the layers that were saved beside an adapter."""
        saved = load_file(folder / ADAPTER_WEIGHTS)
        for name, weight in self._model.named_parameters():
            if weight in self._copies:
                self._copies[weight].copy_(saved[name.replace(SAVED, "")])
        self._publish()

    def _take_gradient(self, weight: torch.Tensor) -> None:
        copy, found = self._copies[weight], weight.grad  # type: ignore[index]
        assert found is not None
        copy.grad = found.float() if copy.grad is None else copy.grad.add_(found)
        weight.grad = None

    @torch.no_grad()
    def _publish(self) -> None:
        for weight, copy in self._copies.items():
            weight.copy_(copy)
            copy.grad = None
