"""The proof of an export: greedy answers of the exported files beside those of fp32 on the merged weights in fp32.

Where two tokens are almost equally likely, rounding decides. So each difference is shown with its margin: by how much
the reference preferred its token over the next one, in logits. The control is the run itself in its own number format:
what differs there too is rounding, and not the export's.
"""

from __future__ import annotations

import gc
import importlib.util
import json
import logging
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy
import psutil
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, GenerationConfig, PreTrainedModel

from interfaces.config import FineTuneConfig
from interfaces.errors import FineTuneError
from interfaces.example import Example
from interfaces.exports import CLOSE, EXACT, Comparison, ExportKind, ExportRequest, Proof, ProofRow
from interfaces.folders import Home
from interfaces.run_records import is_whole_model
from trainer.data.run_rows import rows_of_run
from trainer.evaluation.questions import general_questions
from trainer.models.model_files import ModelFiles
from trainer.tokens.template import ChatTemplate

log = logging.getLogger(__name__)

PROMPTS = 10
"""Of each kind: taught ones from the run's data, and open ones from the general questions."""
TOKENS = 16
NEAR_TIE = 0.25
"""A difference where the reference's margin is smaller is one of rounding to the number format."""
EXACT_TIE = 0.005
"""The same for number formats that keep every weight: two programs add the same products in another order."""


@dataclass(frozen=True)
class ProofPrompt:
    """A prompt as token ids."""

    text: str
    ids: list[int]
    taught: bool


@dataclass(frozen=True)
class _Greedy:
    """An answer's tokens without the one that ends it, and for each the margin in logits."""

    tokens: list[int]
    margins: list[float]


def prompts_of(home: Home, config: FineTuneConfig, template: ChatTemplate) -> list[ProofPrompt]:
    """Return the prompts of a proof. There are no taught ones if the run's dataset is gone, or is plain text."""
    asked = [(True, one) for one in _taught(home, config)]
    general = general_questions()
    asked += [(False, general[at].example) for at in range(0, len(general), len(general) // PROMPTS)][:PROMPTS]
    found = []
    for taught, example in asked:
        last = next((place for place, message in enumerate(example.messages) if message.train and place), 0)
        if last:
            talk = Example(messages=example.messages[:last], tools=example.tools, row=example.row)
            found.append(ProofPrompt(talk.messages[-1].content, template.conversation_ids(talk), taught))
    return found


def prove(
    request: ExportRequest, target: Path, adapter: Path, files: ModelFiles, dtype: str,
    template: ChatTemplate, prompts: Sequence[ProofPrompt], ends: Sequence[int], tell: Callable[[int, int], None],
) -> Proof:  # fmt: skip
    """Compare what was exported to `target`. `dtype` is the number format of the run. Models are loaded one by one.

    Raises:
        BrokenProcessPool: llama.cpp has ended its process.
    """
    done, total = 0, 3 * len(prompts)

    def counted() -> None:
        nonlocal done
        done += 1
        tell(done, total)

    reference = _answers(_reference(files, adapter), prompts, ends, counted)
    own = _answers(_tuned(files, adapter, getattr(torch, dtype)), prompts, ends, counted)
    control = _compared("run", dtype, prompts, reference, own, template)
    way, number_format, exported = _exported(request, target, adapter, files, prompts, ends, counted)
    comparison = _compared(way, number_format, prompts, reference, exported, template)
    return Proof(
        exported=comparison, control=control, tokens=TOKENS, passed=verdict(request.quantization, comparison.rows)
    )


def hindrance(kind: ExportKind, files: ModelFiles) -> str:
    """Return why an export can't be proven on this machine, as a key of the texts' context 'reason'; empty if it can."""
    if kind in ("gguf", "ollama") and importlib.util.find_spec("xllamacpp") is None:
        return "no_llama_cpp"
    weights = sum(path.stat().st_size for path in files.path.glob("*.safetensors"))
    # Most are stored in two bytes a number, and the reference computes in four.
    return "too_little_memory" if 2.2 * weights > psutil.virtual_memory().available else ""


def verdict(quantization: str | None, rows: Sequence[ProofRow]) -> bool | None:
    """Return whether a proof has passed; None for number formats that are expected to differ.

    An adapter's own weights are exact: it has no number format.
    """
    different = [row for row in rows if row.differs_at is not None]
    exact = quantization is None or quantization in EXACT
    if not exact and quantization not in CLOSE:
        return None
    return all(row.margin is not None and row.margin < (EXACT_TIE if exact else NEAR_TIE) for row in different)


def _taught(home: Home, config: FineTuneConfig) -> Iterator[Example]:
    try:
        rows = rows_of_run(home, config)
    except FineTuneError:
        log.warning("The run's rows can't be read", exc_info=True)
        return
    chosen = numpy.linspace(0, len(rows.training) - 1, min(PROMPTS, len(rows.training))).round().astype(int)
    for place in chosen.tolist():
        yield rows.examples[int(rows.training[place])]


def _reference(files: ModelFiles, adapter: Path) -> PreTrainedModel:
    """Return the model with the adapter merged by PEFT, all in fp32: nothing of it is ours."""
    model = _tuned(files, adapter, torch.float32)
    merged: PreTrainedModel = model.merge_and_unload(safe_merge=True) if isinstance(model, PeftModel) else model
    return merged


def _tuned(files: ModelFiles, result: Path, dtype: torch.dtype) -> PeftModel | PreTrainedModel:
    """Return the base model with the adapter in a folder, or the whole model in it."""
    if is_whole_model(result):
        return _loaded(result, dtype)
    return PeftModel.from_pretrained(_loaded(files.path, dtype), str(result), autocast_adapter_dtype=False).eval()


def _loaded(path: Path, dtype: torch.dtype) -> PreTrainedModel:
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
        path, dtype=dtype, local_files_only=True, trust_remote_code=False, use_safetensors=True
    )
    return model.eval()


@torch.inference_mode()
def _answers(
    model: PreTrainedModel | PeftModel, prompts: Sequence[ProofPrompt], ends: Sequence[int], counted: Callable[[], None]
) -> list[_Greedy]:
    """Answer one by one with transformers' `generate`, and free the model's memory."""
    settings = GenerationConfig(
        max_new_tokens=TOKENS, do_sample=False, eos_token_id=list(ends), pad_token_id=ends[0], output_logits=True,
        return_dict_in_generate=True,
    )  # fmt: skip
    found = []
    for prompt in prompts:
        ids = torch.tensor([prompt.ids])
        made = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=settings)
        tokens = [token for token in made.sequences[0, len(prompt.ids) :].tolist() if token not in ends]
        margins = [float((top := logits[0].float().topk(2).values)[0] - top[1]) for logits in made.logits]
        found.append(_Greedy(tokens, margins))
        counted()
    del model
    gc.collect()
    return found


def _exported(
    request: ExportRequest, target: Path, adapter: Path, files: ModelFiles, prompts: Sequence[ProofPrompt],
    ends: Sequence[int], counted: Callable[[], None],
) -> tuple[str, str, list[_Greedy]]:  # fmt: skip
    """Load the export as its user would, and return in which way, in which number format, and its answers."""
    if request.kind == "adapter":
        return "peft", "float32", _answers(_tuned(files, adapter, torch.float32), prompts, ends, counted)
    if request.kind == "merged":
        # In fp32, so that the stored numbers are proven, and not how a device rounds.
        return "transformers", "float32", _answers(_loaded(target, torch.float32), prompts, ends, counted)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:  # a crash ends only that one
        answers = []
        for found in pool.map(_llama_answers, [str(target)], [[prompt.ids for prompt in prompts]], [list(ends)]):
            answers = [_Greedy(tokens, []) for tokens in found]
        for _ in prompts:
            counted()
    return "llama_cpp", str(request.quantization), answers


def _llama_answers(path: str, prompts: list[list[int]], ends: list[int]) -> list[list[int]]:
    """Answer with llama.cpp, in a process of its own."""
    from trainer.evaluation.llama_cpp import LlamaServer

    server = LlamaServer(Path(path))
    found = []
    for ids in prompts:
        with server.complete(ids, {"n_predict": TOKENS, "temperature": 0, "top_k": 1}) as answer:
            found.append([token for token in json.load(answer)["tokens"] if token not in ends])
    return found


def _compared(
    way: str, number_format: str, prompts: Sequence[ProofPrompt], reference: Sequence[_Greedy],
    answers: Sequence[_Greedy], template: ChatTemplate,
) -> Comparison:  # fmt: skip
    rows = []
    for prompt, wanted, seen in zip(prompts, reference, answers, strict=True):
        texts = [template.tokenizer.decode(one.tokens, skip_special_tokens=True).strip() for one in (wanted, seen)]
        at = _first_difference(wanted.tokens, seen.tokens)
        margin = round(wanted.margins[at], 4) if at is not None and at < len(wanted.margins) else None
        rows.append(
            ProofRow(
                prompt=prompt.text,
                taught=prompt.taught,
                reference=texts[0],
                answer=texts[1],
                differs_at=at,
                margin=margin,
            )
        )
    return Comparison.model_validate({"way": way, "number_format": number_format, "rows": rows})


def _first_difference(wanted: Sequence[int], seen: Sequence[int]) -> int | None:
    """Return the first place at which two answers differ, where a missing token is the end of an answer."""
    if list(wanted) == list(seen):
        return None
    longest = max(len(wanted), len(seen))
    padded = [[*one, *[None] * (longest - len(one))] for one in (wanted, seen)]
    return next(at for at in range(longest) if padded[0][at] != padded[1][at])
