"""How fast an evaluation answers: its batches beside plain `generate`, one question after the other, in one run.

The starter with an adapter answers 200 questions, 64 tokens each at the most. `generate` answers every fifth of them.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from interfaces.chats import Sampling  # noqa: E402
from interfaces.config import FineTuneConfig  # noqa: E402
from interfaces.folders import Home  # noqa: E402
from tests.support.adapters import adapter_folder  # noqa: E402

TOKENS, BATCH, EVERY = 64, 32, 5


def questions() -> list[str]:
    """The instructions of the sample, in English and Chinese, and the general questions: 200."""
    from trainer.evaluation.questions import general_questions

    lines = (ROOT / "assets/samples/lumo-lantern.jsonl").read_text(encoding="utf-8").splitlines()
    chinese = (ROOT / "assets/samples/lumo-lantern-zh.jsonl").read_text(encoding="utf-8").splitlines()
    prompts = [json.loads(line)["instruction"] for line in lines]
    prompts += [json.loads(line)["conversations"][0]["value"] for line in chinese]
    return [*prompts, *(one.asked[0].content for one in general_questions())]


def one_by_one(model: Any, template: Any, prompts: list[list[int]]) -> int:
    """Answer each question with `generate`, and return the tokens."""
    import torch

    from trainer.evaluation.generation import generation_settings

    settings, tokens = generation_settings(model, template, Sampling(max_new_tokens=TOKENS)), 0
    with torch.inference_mode():
        for ids in prompts:
            prompt = torch.tensor([ids], device=model.device)
            made = model.generate(input_ids=prompt, attention_mask=torch.ones_like(prompt), generation_config=settings)
            tokens += made.shape[1] - len(ids)
    return tokens


def main() -> None:
    from peft import PeftModel

    from trainer.evaluation.batches import generate_batch
    from trainer.models.base_model import load_model
    from trainer.models.device import choose_compute
    from trainer.models.model_files import find_model
    from trainer.tokens.tokenizer import load_template

    home, config = Home.of(None, os.environ), FineTuneConfig(model_name="starter", dataset="x")
    files = find_model("starter", "main", home, lambda *_: None)
    template, model = load_template(files, "starter"), load_model(files, config, choose_compute(config))
    with tempfile.TemporaryDirectory() as place:
        adapter = adapter_folder(Path(place), home.starter, 1)
        model = PeftModel.from_pretrained(model, str(adapter)).eval()
    prompts = [template.prompt_ids(text) for text in questions()]
    one_by_one(model, template, prompts[:1])  # warms up
    ratios = []
    for first in range(2):  # each part alone, in turns, so that other programs slow down both
        part = prompts[first::2]
        begun, tokens = time.perf_counter(), 0
        for start in range(0, len(part), BATCH):
            tokens += sum(one.tokens for one in generate_batch(model, template, part[start : start + BATCH], TOKENS))
        batched = (time.perf_counter() - begun) / len(part)
        begun = time.perf_counter()
        alone_tokens = one_by_one(model, template, part[::EVERY])
        alone = (time.perf_counter() - begun) / len(part[::EVERY])
        ratios.append(alone / batched)
        print(
            f"{len(part)} questions in batches: {batched * len(part):.1f} s, {tokens / batched / len(part):.0f} tokens/s"
        )
        print(f"one by one: {alone:.2f} s a question, {alone_tokens / alone / len(part[::EVERY]):.0f} tokens/s")
    print(
        f"{len(prompts)} questions: {statistics.mean(ratios):.1f} times as fast ({', '.join(f'{one:.1f}' for one in ratios)})"
    )


if __name__ == "__main__":
    main()
