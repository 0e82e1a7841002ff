"""Batches give each prompt the answer that transformers gives it alone, and each row its own loss."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from interfaces.chats import Sampling
from interfaces.config import FineTuneConfig
from interfaces.folders import Home
from tests.support.adapters import adapter_folder

pytestmark = pytest.mark.tiny
PROMPTS = ["Hi", "A much longer question than the first one, to pad the others", "你好", "x", "Say 3."]


@pytest.fixture
def loaded(tiny_model: Path, tmp_path: Path) -> tuple[Any, Any]:
    from trainer.models.base_model import load_model
    from trainer.models.device import choose_compute
    from trainer.models.model_files import find_model
    from trainer.tokens.tokenizer import load_template

    config = FineTuneConfig(model_name=str(tiny_model), dataset="x", device="cpu", bf16=False)
    files = find_model(str(tiny_model), "main", Home(tmp_path), lambda *_: None)
    return load_model(files, config, choose_compute(config)).eval(), load_template(files, "tiny")


def alone(model: Any, template: Any, ids: list[int], tokens: int) -> list[int]:
    import torch

    from trainer.evaluation.generation import generation_settings

    settings = generation_settings(model, template, Sampling(max_new_tokens=tokens))
    prompt = torch.tensor([ids])
    made = model.generate(input_ids=prompt, attention_mask=torch.ones_like(prompt), generation_config=settings)
    found: list[int] = made[0, len(ids) :].tolist()
    return found


@pytest.mark.parametrize("adapted", [False, True])
def test_answers_are_those_of_generate_one_by_one(
    loaded: tuple[Any, Any], adapted: bool, tiny_model: Path, tmp_path: Path
) -> None:
    from peft import PeftModel

    from trainer.evaluation.batches import generate_batch

    model, template = loaded
    if adapted:
        model = PeftModel.from_pretrained(model, adapter_folder(tmp_path / "adapter", tiny_model, 1)).eval()
    prompts = [template.prompt_ids(text) for text in PROMPTS]
    told: list[int] = []
    answers = generate_batch(model, template, prompts, 40, told.append)
    for ids, answer in zip(prompts, answers, strict=True):
        expected = alone(model, template, ids, 40)
        assert answer.text == template.tokenizer.decode(expected, skip_special_tokens=True).strip()
        assert answer.tokens == len(expected)
        assert (answer.end == "complete") == (expected[-1] == template.end_id)
    assert told == sorted(told)


def test_answers_leave_the_batch_once_they_are_complete(
    loaded: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end token is made likely, so that answers end after different numbers of tokens."""
    import torch

    from trainer.evaluation import batches

    model, template = loaded
    sizes: list[int] = []
    ends = {0: 2, 1: 40, 2: 18, 3: 30, 4: 20}

    def continued(_model: Any, ids: Any, mask: Any, cache: Any, _settings: Any, tokens: int) -> Any:
        sizes.append(len(ids))
        made = ids.shape[1] - 5
        more = torch.full((len(ids), tokens), 7)
        for row in range(len(ids)):
            end = ends[int(ids[row, 0])] - made - 1
            if 0 <= end < tokens:
                more[row, end] = template.end_id
        return torch.cat([ids, more], 1), torch.cat([mask, torch.ones_like(more)], 1), cache

    monkeypatch.setattr(batches, "_continued", continued)
    monkeypatch.setattr("transformers.cache_utils.DynamicCache.batch_select_indices", lambda *_: None)
    answers = batches.generate_batch(model, template, [[number, 1, 1, 1, 1] for number in range(5)], 32)
    assert sizes == [5, 4], "one was complete after 16 tokens"
    assert [answer.tokens for answer in answers] == [2, 32, 18, 30, 20]
    assert [answer.end for answer in answers] == ["complete", "length", "complete", "complete", "complete"]


@pytest.mark.parametrize("kind", ["base", "frozen", "adapted", "scaled"])
def test_losses_are_those_of_the_model_row_by_row(
    loaded: tuple[Any, Any], kind: str, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from peft import PeftModel

    from trainer.evaluation.batches import RowTokens, loss_batches, losses
    from trainer.kernels import chunked_loss
    from trainer.tokens.token_store import IGNORE_INDEX

    monkeypatch.setattr(chunked_loss, "CHUNK_ELEMENTS", 3000)
    model, template = loaded
    if kind == "scaled":
        model.config.logit_scale, own = 0.5, model.forward

        def scaled(*arguments: Any, **named: Any) -> Any:
            found = own(*arguments, **named)
            found.logits = found.logits * 0.5
            return found

        model.forward = scaled
    if kind == "adapted":
        model = PeftModel.from_pretrained(model, adapter_folder(tmp_path / "adapter", tiny_model, 1)).eval()
    model.requires_grad_(kind == "base")
    rows = [
        RowTokens(ids, [IGNORE_INDEX] * 3 + ids[3:])
        for ids in (template.prompt_ids(text) for text in PROMPTS)
    ]  # fmt: skip
    for row, found in zip(rows, losses(model, template, rows), strict=True):
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([row.ids])).logits[0, 2:-1]
        expected = torch.nn.functional.cross_entropy(logits, torch.tensor(row.ids[3:]))
        assert found.tokens == len(row.ids) - 3
        assert found.loss / found.tokens == pytest.approx(float(expected), rel=1e-4)
    long = [RowTokens([1] * 600, [1] * 600) for _ in range(3)]
    assert loss_batches([*long, *rows[:2]]) == [[3, 4], [0], [1], [2]], "by length, within the limit of tokens"
