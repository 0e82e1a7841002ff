"""The settings of the adapter, and what every setting says of itself."""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

Group = Literal["method", "model", "data", "lora", "training", "memory", "saving"]


def setting(default: Any, help: str, group: Group, unit: str = "", basic: bool = False, **bounds: Any) -> Any:
    """Create a field with the metadata for form, terminal, and docs. The form never folds `basic` fields."""
    return Field(default, description=help, json_schema_extra={"group": group, "unit": unit, "basic": basic}, **bounds)


class LoraSettings(BaseModel):
    """The settings of the adapter (PEFT's `LoraConfig`; Hu et al. 2021, arXiv:2106.09685)."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True, allow_inf_nan=False)

    r: int = setting(
        16,
        "Rank: a higher rank gives more capacity but needs more memory.",
        "lora",
        basic=True,
        ge=1,
        le=1024,
    )
    lora_alpha: float = setting(32, "Scaling: the adapter is multiplied by lora_alpha / r.", "lora", gt=0, le=4096)
    lora_dropout: float = setting(
        0.0, "Fraction of the adapter's inputs dropped at random, to reduce overfitting.", "lora", ge=0, lt=1
    )
    target_modules: str | list[str] = setting(
        "all-linear", "Which layers get an adapter: all-linear, or a list of layer names.", "lora", min_length=1
    )
    rank_pattern: dict[str, int] = setting(
        {},
        "Other ranks for some layers, such as down_proj: 64, q_proj: 8; empty for r in all of them.",
        "lora",
        max_length=100,
    )
    alpha_pattern: dict[str, float] = setting(
        {}, "Other scalings (lora_alpha) for some layers, such as down_proj: 128; empty for one in all of them.", "lora",
        max_length=100,
    )  # fmt: skip
    layers_to_transform: list[int] = setting(
        [],
        "Layers that get an adapter: numbers from 0, or ranges such as 8-15; empty for all.",
        "lora",
        max_length=1000,
    )
    modules_to_save: list[str] = setting(
        [],
        "Layers trained as a whole beside the adapter, such as embed_tokens and lm_head, for new words; large.",
        "lora",
        max_length=20,
    )
    loraplus_lr_ratio: float = setting(
        1.0,
        "LoRA+ (arXiv:2402.12354): the learning rate of the B matrices, as a multiple of that of the others; 1 is plain LoRA.",
        "lora",
        gt=0,
        le=1000,
    )
    init_lora_weights: Literal["default", "pissa", "eva"] = setting(
        "default",
        "First weights of the adapter. pissa: main directions of the model's weights (arXiv:2404.02948); eva: of the data (arXiv:2410.07170).",
        "lora",
    )
    use_rslora: bool = setting(
        False, "Scale by lora_alpha / sqrt(r), which is more stable at high ranks (arXiv:2312.03732).", "lora"
    )
    use_dora: bool = setting(
        False, "Train direction and magnitude of the weights separately; slower (arXiv:2402.09353).", "lora"
    )
    autocast_adapter_dtype: bool = setting(
        True,
        "Keep the adapter in fp32. Off: 16-bit, which saves a little memory but rounds small updates away.",
        "lora",
    )

    @field_validator("layers_to_transform", mode="before")
    @classmethod
    def _numbers_and_ranges(cls, value: Any) -> Any:
        """Expand '0-3, 8' to numbers."""
        parts = value.split(",") if isinstance(value, str) else value
        if not isinstance(parts, list):
            return value
        found: set[int] = set()
        for part in parts:
            if not str(part).strip():
                continue
            numbers = re.fullmatch(r"\s*([0-9]{1,4})\s*(?:-\s*([0-9]{1,4})\s*)?", str(part))
            if numbers is None or int(numbers[2] or numbers[1]) < int(numbers[1]):
                raise ValueError("layer_numbers")
            found |= set(range(int(numbers[1]), int(numbers[2] or numbers[1]) + 1))
        return sorted(found)

    @field_validator("rank_pattern", "alpha_pattern", mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        """Read 'down_proj: 64, q_proj: 8'."""
        if not isinstance(value, str):
            return value
        pairs = [part.partition(":") for part in value.split(",") if part.strip()]
        found = {name.strip(): number.strip() for name, _, number in pairs}
        if len(found) < len(pairs):
            raise ValueError("layers_with_numbers")
        return found

    @field_validator("rank_pattern", "alpha_pattern")
    @classmethod
    def _names_and_numbers(cls, value: dict[str, float]) -> dict[str, float]:
        # PEFT takes the names as regular expressions, which a name with dots is too.
        if not all(re.fullmatch(r"[\w.]+", name) and 0 < number <= 4096 for name, number in value.items()):
            raise ValueError("layers_with_numbers")
        return value

    @field_validator("target_modules")
    @classmethod
    def _all_linear_or_names(cls, value: str | list[str]) -> str | list[str]:
        if isinstance(value, str) and value != "all-linear":
            value = [name.strip() for name in value.split(",") if name.strip()]
        if not value:
            raise ValueError("layers_or_all_linear")
        return value
