"""How an export is used in other programs: commands and code to copy."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass

from interfaces.config import STARTER
from interfaces.exports import ExportRequest
from interfaces.folders import Home, RunFolder
from interfaces.run_config import read_run_config


@dataclass(frozen=True)
class Usage:
    """What to type for one program. `proven` says whether the proof loads the files in the same program."""

    program: str
    text: str
    proven: bool


_PEFT = """from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

base = AutoModelForCausalLM.from_pretrained({base!r}, dtype="auto")
model = PeftModel.from_pretrained(base, {name!r})
tokenizer = AutoTokenizer.from_pretrained({name!r})"""
_TRANSFORMERS = """from transformers import pipeline

chat = pipeline("text-generation", {name!r}, dtype="auto")
print(chat([{{"role": "user", "content": "Hello"}}], max_new_tokens=100)[0]["generated_text"][-1]["content"])"""


_SCORES = """from peft import PeftModel
from transformers import AutoModelForSequenceClassification, AutoTokenizer

base = AutoModelForSequenceClassification.from_pretrained({base!r}, num_labels=1, dtype="auto")
base.config.pad_token_id = None  # the score is that of the last token
model = PeftModel.from_pretrained(base, {name!r}).eval()
tokenizer = AutoTokenizer.from_pretrained({name!r})
talk = [{{"role": "user", "content": "Hello"}}, {{"role": "assistant", "content": "Hi!"}}]
text = tokenizer.apply_chat_template(talk, tokenize=False)
print(model(**tokenizer(text, return_tensors="pt", add_special_tokens=False)).logits.item())"""


def usage_of(request: ExportRequest, base: str, run: str, number: int, generates: bool = True) -> list[Usage]:
    """Return how to use the exported files in each program: those of the export `number` of a run.

    `base` and `run` are what the base model and the run are called here. A model that doesn't generate scores answers.
    """
    name = request.name
    if request.kind == "adapter":
        folder = name.removesuffix(".zip")
        unpacked = f"# unzip {name} -d {folder}\n" if name != folder else ""
        if not generates:
            return [Usage("PEFT", unpacked + _SCORES.format(base=base, name=folder), False)]
        return [
            Usage("PEFT", unpacked + _PEFT.format(base=base, name=folder), True),
            Usage("vLLM", f"vllm serve {base} --enable-lora --lora-modules mine={folder}", False),
        ]
    if request.kind == "merged":
        return [
            Usage("transformers", _TRANSFORMERS.format(name=name), True),
            Usage("vLLM", f"vllm serve ./{name}", False),
        ]
    if request.kind == "ollama":
        return [Usage("Ollama", f"cd {name}\nollama create my-model -f Modelfile\nollama run my-model", False)]
    step = "" if request.step is None else f" --checkpoint {request.step}"
    modelfile = f"echo 'FROM ./{name}' > Modelfile\nollama create my-model -f Modelfile\nollama run my-model"
    return [
        Usage("llama.cpp", f"llama-server -m {name}", True),
        Usage("Ollama", modelfile, False),
        Usage("LM Studio", f"lms import {name}", False),
        Usage("OpenAI API", f"finetune serve {run} --export {number}{step}", True),
    ]


def base_here(run: RunFolder) -> str:
    """Return the base model as programs on this machine find it: its name on the Hub, or its folder."""
    name = str(read_run_config(run).get("model_name", STARTER))
    return str(run.home.starter) if name == STARTER else name


def run_here(run: RunFolder) -> str:
    """Return how a command finds a run: by its id, and by its home if that isn't the usual one."""
    usual = run.home == Home.of(None, os.environ)
    return run.id if usual else f"{run.id} --home {shlex.quote(str(run.home.path))}"
