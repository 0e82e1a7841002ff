"""The batches of an evaluation. They depend only on its rows, so each attempt has the same ones."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from interfaces.config import FineTuneConfig
from interfaces.evaluations import EvaluationLine, EvaluationQuestion, EvaluationSpec, Side
from interfaces.example import Example
from trainer.evaluation.batches import PROMPT_TOKENS, Generated, RowTokens, generate_batch, loss_batches, losses
from trainer.tokens.template import ChatTemplate
from trainer.tokens.token_store import IGNORE_INDEX

log = logging.getLogger(__name__)
Tell = Callable[[int], None]


@dataclass
class Batch:
    """Rows that are computed together; `numbers` are those of their questions. `kind` is 'loss' or 'answer'."""

    kind: str
    numbers: list[int]
    compute: Callable[[PreTrainedModel, Side, Tell], list[EvaluationLine]]

    @property
    def size(self) -> int:
        return len(self.numbers)


class Batches:
    """All batches of an evaluation, for each side."""

    def __init__(
        self, questions: list[EvaluationQuestion], template: ChatTemplate, spec: EvaluationSpec, config: FineTuneConfig
    ) -> None:
        self._template, self._spec = template, spec
        rows = [one for one in questions if one.set == "data"]
        tokens = [_row_tokens(template, one.example, config.max_length) for one in rows]
        measured = [(one.number, found) for one, found in zip(rows, tokens, strict=True) if found.trained]
        grouped = loss_batches([found for _, found in measured])
        self.all = [Batch("loss", [measured[at][0] for at in group], self._loss(group, measured)) for group in grouped]
        self._prompts = {
            one.number: template.conversation_ids(Example(messages=one.asked, tools=one.example.tools, row=one.row))
            for one in questions
            if one.asked
        }
        # Answers of a similar length end at a similar time. The reference says best how long one will be.
        lengths = {one.number: len(one.reference.content) for one in questions if one.reference is not None}
        order = sorted(self._prompts, key=lambda number: (lengths[number], number))
        self.all += [Batch("answer", group, self._answer(group)) for group in self._groups(order)]

    @property
    def total(self) -> int:
        """The number of losses and answers of a side."""
        return sum(batch.size for batch in self.all)

    def missing(self, lines: Iterable[EvaluationLine], side: Side) -> list[Batch]:
        """Return the batches of which some line is missing."""
        kinds = {(line.number, "loss" if line.answer is None else "answer") for line in lines if line.side == side}
        return [batch for batch in self.all if any((number, batch.kind) not in kinds for number in batch.numbers)]

    def _loss(
        self, group: list[int], measured: list[tuple[int, RowTokens]]
    ) -> Callable[[PreTrainedModel, Side, Tell], list[EvaluationLine]]:
        numbers, rows = [measured[at][0] for at in group], [measured[at][1] for at in group]

        def compute(model: PreTrainedModel, side: Side, _tell: Tell) -> list[EvaluationLine]:
            found = losses(model, self._template, rows)
            return [
                EvaluationLine(side=side, number=number, loss=round(one.loss, 6), trained_tokens=one.tokens)
                for number, one in zip(numbers, found, strict=True)
            ]

        return compute

    def _groups(self, order: list[int]) -> Iterator[list[int]]:
        """Split the questions into batches, fewer together if their prompts are long."""
        group: list[int] = []
        longest = 0
        for number in order:
            longest = max(longest, len(self._prompts[number]))
            if group and (len(group) == self._spec.batch_size or (len(group) + 1) * longest > PROMPT_TOKENS):
                yield group
                group, longest = [], len(self._prompts[number])
            group.append(number)
        if group:
            yield group

    def _answer(self, numbers: list[int]) -> Callable[[PreTrainedModel, Side, Tell], list[EvaluationLine]]:
        def compute(model: PreTrainedModel, side: Side, tell: Tell) -> list[EvaluationLine]:
            positions, room = model.config.get_text_config().max_position_embeddings, self._spec.max_new_tokens
            left = {number: (positions or math.inf) - len(self._prompts[number]) for number in numbers}
            answers = self._generated(model, [one for one in numbers if left[one] >= room], room, tell)
            for number in numbers:
                if 0 < left[number] < room:
                    answers |= self._generated(model, [number], int(left[number]), lambda _complete: None)
            return [
                EvaluationLine(side=side, number=number, answer=one.text, tokens=one.tokens, end=one.end)
                for number in numbers
                for one in [answers.get(number, Generated("", 0, "too_long"))]
            ]

        return compute

    def _generated(
        self, model: PreTrainedModel, numbers: list[int], room: int, tell: Tell
    ) -> dict[int, Generated]:  # fmt: skip
        """Answer some questions together, or in smaller groups if the GPU's memory doesn't suffice."""
        if not numbers:
            return {}
        try:
            prompts = [self._prompts[number] for number in numbers]
            return dict(zip(numbers, generate_batch(model, self._template, prompts, room, tell), strict=True))
        except torch.OutOfMemoryError:
            if len(numbers) == 1:
                raise
        log.warning("The memory of the GPU doesn't suffice for %d answers together", len(numbers))
        torch.cuda.empty_cache()
        half = len(numbers) // 2
        return self._generated(model, numbers[:half], room, tell) | self._generated(model, numbers[half:], room, tell)


def _row_tokens(template: ChatTemplate, example: Example, max_length: int) -> RowTokens:
    """Return a row's tokens as they are trained on, truncated as in training."""
    tokens = template.tokens(example)
    ids, trained = tokens.ids[:max_length].tolist(), tokens.trained[:max_length].tolist()
    return RowTokens(ids, [token if on else IGNORE_INDEX for token, on in zip(ids, trained, strict=True)])
