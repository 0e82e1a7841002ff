"""Greedy answers in batches, and the loss of each row: what an evaluation computes with one model.

`generate` of transformers keeps a batch together until its longest answer is complete. Here it is called for a few
tokens at a time, and answers that are complete leave the batch in between, so the others go on faster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from transformers import GenerationConfig, PreTrainedModel
from transformers.cache_utils import DynamicCache

from interfaces.chats import Sampling
from interfaces.evaluations import AnswerEnd
from trainer.evaluation.generation import causal_model, generation_settings
from trainer.kernels.chunked_loss import changed_logits, token_losses
from trainer.tokens.batches import padded_batch
from trainer.tokens.template import ChatTemplate
from trainer.tokens.token_store import IGNORE_INDEX

TOKENS_AT_ONCE = 16
"""After this many tokens, complete answers leave the batch. Asking less often computes more tokens that nobody reads."""
LOSS_TOKENS = 1024
"""Tokens of a batch whose losses are computed together."""
PROMPT_TOKENS = 16_384
"""The most prompt tokens of a batch of answers, with padding: their keys and values take 1 to 2 GB for a 3B model."""


@dataclass
class Generated:
    """An answer and how it ended."""

    text: str
    tokens: int
    end: AnswerEnd


@torch.inference_mode()
def generate_batch(
    model: PreTrainedModel, template: ChatTemplate, prompts: Sequence[list[int]], max_new_tokens: int,
    tell: Callable[[int], None] = lambda _complete: None,
) -> list[Generated]:  # fmt: skip
    """Answer prompts, given as token ids, with the most likely tokens. `tell` gets the number of complete answers."""
    settings = generation_settings(model, template, Sampling(max_new_tokens=max_new_tokens))
    ends = set(settings.eos_token_id)
    pad = template.tokenizer.pad_token_id
    longest = max(map(len, prompts))
    ids = torch.tensor([[pad] * (longest - len(one)) + one for one in prompts], device=model.device)
    mask = torch.tensor([[0] * (longest - len(one)) + [1] * len(one) for one in prompts], device=model.device)
    answers: list[list[int]] = [[] for _ in prompts]
    going, cache = list(range(len(prompts))), DynamicCache(config=model.config)
    left = max_new_tokens
    while going and left > 0:
        part = min(TOKENS_AT_ONCE, left)
        ids, mask, cache = _continued(model, ids, mask, cache, settings, part)
        left -= part
        stays = []
        for place, number in enumerate(going):
            new = ids[place, longest:].tolist()
            at = next((at for at, token in enumerate(new) if token in ends), None)
            answers[number] = new if at is None else new[: at + 1]
            stays += [] if at is not None else [place]
        if len(stays) < len(going):
            going = [going[place] for place in stays]
            tell(len(prompts) - len(going))
            kept = torch.tensor(stays, device=ids.device, dtype=torch.long)
            ids, mask = ids[kept], mask[kept]
            if stays:
                cache.batch_select_indices(kept)
    return [_generated(template, answer, ends) for answer in answers]


def _continued(
    model: PreTrainedModel, ids: torch.Tensor, mask: torch.Tensor, cache: DynamicCache, settings: GenerationConfig,
    tokens: int,
) -> tuple[torch.Tensor, torch.Tensor, DynamicCache]:  # fmt: skip
    """Return the ids (batch, length), their mask, and the cache, each with `tokens` more, or fewer if all are complete."""
    settings.max_new_tokens, settings.return_dict_in_generate = tokens, True
    made = model.generate(input_ids=ids, attention_mask=mask, past_key_values=cache, generation_config=settings)
    more = made.sequences.shape[1] - ids.shape[1]
    return made.sequences, torch.cat([mask, mask.new_ones(len(mask), more)], dim=1), made.past_key_values


def _generated(template: ChatTemplate, answer: list[int], ends: set[int]) -> Generated:
    complete = bool(answer) and answer[-1] in ends
    text = template.tokenizer.decode(answer, skip_special_tokens=True).strip()
    return Generated(text, len(answer), "complete" if complete else "length")


@dataclass
class RowTokens:
    """A row as it is trained on: its token ids, and for each one the label, or `IGNORE_INDEX`."""

    ids: list[int]
    labels: list[int]

    @property
    def trained(self) -> int:
        """The tokens with a loss: the first token of a row has none."""
        return sum(label != IGNORE_INDEX for label in self.labels[1:])


@dataclass
class RowLoss:
    """The sum of the negative log-likelihoods of a row's trained tokens, in nats, and their number."""

    loss: float
    tokens: int


def loss_batches(rows: Sequence[RowTokens]) -> list[list[int]]:
    """Group rows of similar length. Return the positions of each batch's rows."""
    batches: list[list[int]] = []
    for position in sorted(range(len(rows)), key=lambda at: len(rows[at].ids)):
        if batches and (len(batches[-1]) + 1) * len(rows[position].ids) <= LOSS_TOKENS:
            batches[-1].append(position)
        else:
            batches.append([position])
    return batches


@torch.inference_mode()
def losses(model: PreTrainedModel, template: ChatTemplate, rows: Sequence[RowTokens]) -> Iterator[RowLoss]:
    """Yield the loss of each row, computed as one batch."""
    batch = padded_batch(
        [{"input_ids": row.ids, "labels": row.labels} for row in rows], template.tokenizer.pad_token_id
    )
    inputs = {name: batch[name].to(model.device) for name in ("input_ids", "attention_mask")}
    causal = causal_model(model)
    head, body = causal.get_output_embeddings(), causal.get_decoder()
    # The logits of a long row for a large vocabulary take many GB, so they exist for a few trained tokens at a time.
    chunked = head is not None and body is not causal and not changed_logits(causal)
    found = body(**inputs, use_cache=False).last_hidden_state if chunked else model(**inputs, use_cache=False).logits
    for row, own in zip(rows, found, strict=True):
        labels = torch.tensor(row.labels[1:], device=model.device)
        at = labels != IGNORE_INDEX
        kept, wanted = own[: len(labels)][at], labels[at]
        yield RowLoss(
            float(token_losses(head, kept, wanted).sum() if chunked else _cross_entropy(kept, wanted)), row.trained
        )


def _cross_entropy(logits: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.cross_entropy(logits.float(), wanted, reduction="sum")
