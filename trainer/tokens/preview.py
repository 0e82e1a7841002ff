"""What the model will see, token by token, and figures before the start; by the very code that trains.

One process answers many requests (`PreviewRequest`) about the datasets of a home.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy

from interfaces.dataset_records import DatasetReport, ShownRow, SourceSplit, SplitCounts, Stop, Token
from interfaces.errors import FineTuneError
from interfaces.example import Example
from interfaces.example_file import SUSPICIOUS, ExampleFile
from interfaces.folders import Home
from interfaces.method_settings import METHODS
from interfaces.problems import Code, Problem
from interfaces.row_lengths import LengthFigures, RefusedRow, TokenStats
from interfaces.steps import packs_about, rows_kept_aside, updates_per_epoch
from interfaces.trainer_jobs import (
    FileRowRequest,
    FindRequest,
    FoundRow,
    PreviewRequest,
    RowRequest,
    SplitRequest,
    StatsRequest,
)
from trainer.data.dataset import index_of
from trainer.data.inspection import Inspection
from trainer.data.splitting import split_rows, without_leaks
from trainer.tokens.length_figures import HasTokens, figures, steps_per_epoch
from trainer.tokens.marks import Marks
from trainer.tokens.run_warnings import nothing_to_train, template_warnings
from trainer.tokens.selection import paired
from trainer.tokens.template import ChatTemplate, Tokens
from trainer.tokens.token_store import (
    ITEM,
    PLAIN,
    REFUSED,
    TokenizedRow,
    item_of,
    sides_of,
    stored_tokens,
    tokenize,
)

SAMPLE_ROWS = 1000
"""The sample size for the first statistics of a large dataset, spread evenly over it."""
SAMPLE_BYTES = 8_000_000
"""The limit of the sample in bytes."""
WHOLE_AT_ONCE = 2000
WHOLE_BYTES = 16_000_000
"""Datasets of up to this many bytes are not sampled."""


class Previewer:
    """Answers requests about the datasets of one home, as one model sees them."""

    def __init__(self, home: Home, template: ChatTemplate, embeddings: int = 0) -> None:
        """`embeddings` is the number of token embeddings of the model, or 0 if it is unknown."""
        self.home, self.template, self.embeddings = home, template, embeddings
        self._open: dict[str, ExampleFile] = {}
        self._samples: dict[tuple[str, Marks], _Sample] = {}

    def answer(
        self, request: PreviewRequest, tell: Callable[[int, int], None] = lambda _done, _total: None
    ) -> ShownRow | FoundRow | SplitCounts | TokenStats:
        """Answer one request.

        Raises:
            FineTuneError: the row or dataset doesn't exist, or the template rejects it.
        """
        if not isinstance(request, SplitRequest):
            self.template = self.template.with_marks(Marks.of(request))
        if isinstance(request, FileRowRequest):
            inspection = Inspection(Path(request.file), self.home.dataset(""), request.columns, request.sample_by)
            return self.shown(inspection.example_at(request.row), request.max_length)
        examples = self._examples(request.dataset)
        if isinstance(request, RowRequest):
            return self.row(examples, request.position, request.max_length)
        if isinstance(request, FindRequest):
            return FoundRow(position=self.find(examples, request))
        if isinstance(request, SplitRequest):
            return split_counts(self.home, examples, request)
        return self.stats(examples, request, tell)

    def _examples(self, dataset: str) -> ExampleFile:
        if dataset not in self._open:
            folder = self.home.dataset(dataset)
            DatasetReport.required(folder)
            self._open[dataset] = ExampleFile(folder)
        return self._open[dataset]

    def row(self, examples: ExampleFile, position: int, max_length: int) -> ShownRow:
        """Return a row of a dataset by position, as the model sees it."""
        if not 0 <= position < len(examples):
            name = DatasetReport.required(examples.folder).name
            raise FineTuneError.of(Code.ROW_NUMBER_UNKNOWN, path=name, value=position + 1, rows=len(examples))
        place = {"position": position, "rows": len(examples)}
        return self.shown(examples[position], max_length).model_copy(update=place)

    def shown(self, example: Example, max_length: int) -> ShownRow:
        """Return one example as the model sees it: text, tokens with their training marks, and the fate of its end."""
        first, *others = (self._shown(side, max_length) for side, _ in sides_of(example))
        return first.model_copy(update={"rejected": others[0] if others else None, "label": example.label})

    def _shown(self, example: Example, max_length: int) -> ShownRow:
        made = self.template.tokens(example)
        tokens = self._listed(made)
        kept = tokens[:max_length]
        return ShownRow(
            row=example.row, line=example.line, text=made.rendered.text, tokens=tokens, length=len(tokens),
            max_length=max_length, cut=max(len(tokens) - max_length, 0), trained=sum(token.trained for token in kept[1:]),
            stop=self._stop(kept, tokens), warnings=list(example.warnings), notes=self._notes(made, example.row),
        )  # fmt: skip

    def _listed(self, made: Tokens) -> list[Token]:
        """Return every token with its piece of the text. The concatenated pieces are the text."""
        text, end = made.rendered.text, 0
        special = set(self.template.tokenizer.all_special_ids) | set(self.template.tokenizer.added_tokens_decoder)
        tokens = []
        count = len(made.ids)
        for index, (token, (_, stop)) in enumerate(zip(made.ids.tolist(), made.encoding.offsets, strict=True)):
            stop = len(text) if index == count - 1 else max(stop, end)
            trained = bool(made.trained[index])
            tokens.append(Token(id=token, text=text[end:stop], trained=trained, special=token in special))
            end = stop
        return tokens

    def _stop(self, kept: list[Token], tokens: list[Token]) -> Stop:
        """Return the last end-of-turn token and its fate, which shows whether the model learns to stop."""
        ends = [index for index, token in enumerate(tokens) if token.text.strip() in self.template.ends]
        learned = [index for index in ends if tokens[index].trained]
        shown = [index for index in learned if index < len(kept)]
        if not ends:
            return Stop(token=None, fate="none")
        if shown:
            return Stop(token=tokens[shown[-1]].text.strip(), fate="trained")
        return Stop(token=tokens[(learned or ends)[-1]].text.strip(), fate="cut" if learned else "read")

    def _notes(self, made: Tokens, row: int) -> list[Problem]:
        rendered, model = made.rendered, self.template.model_name
        notes = [Problem.warning(code, model=model, count=1, rows=1, first=[row]) for code in sorted(rendered.done)]
        if not rendered.whole_turns:
            notes.append(Problem.warning(Code.TEMPLATE_REWRITES_HISTORY, model=model, count=1))
        if not rendered.stops:
            notes.append(Problem.warning(Code.STOP_NOT_TRAINED, model=model, count=1))
        if not rendered.ends:
            notes.append(Problem.warning(Code.NO_END_OF_TURN, model=model, token=self.template.tokenizer.eos_token))
        return notes

    def find(self, examples: ExampleFile, request: FindRequest) -> int | None:
        """Return the next position of a row of this kind from `start`, wrapping at the end, or None."""
        start, max_length, kind = request.start, request.max_length, request.kind
        if kind == "text":
            found = examples.find(request.text, start)
            return found if found is not None else examples.find(request.text, 0)
        if kind == "row":
            at = numpy.flatnonzero(index_of(examples.folder)["row"] == request.row)
            return int(at[0]) if len(at) else None
        if kind == "suspicious":
            return _next(numpy.flatnonzero(index_of(examples.folder)["flags"] & SUSPICIOUS), start)
        _, items, _ = self._items(examples, False, lambda _done, _total: None)
        items = items[items["flags"] & REFUSED == 0]
        if kind == "longest":
            return int(items["example"][items["length"].argmax()]) if len(items) else None
        wanted = (items["length"] > max_length) & (items["flags"] & PLAIN == 0)
        if kind == "lost":
            wanted = (items["trained"] == 0) | (items["first"] >= max_length)
        return _next(items["example"][wanted], start)

    def stats(self, examples: ExampleFile, request: StatsRequest, tell: Callable[[int, int], None]) -> TokenStats:
        """Return statistics of the whole dataset if its tokens exist, else of a sample; the answer tells which."""
        store, items, sampled = self._items(examples, request.whole, tell)
        method = METHODS[request.method]
        batch, accumulation, budget = request.batch * method.sequences, request.accumulation, request.budget
        max_length, long_rows = request.max_length, request.long_rows
        if long_rows == "split" and not sampled:
            store = tokenize(self.home, examples, self.template, max_length, tell)
            items = store.items
        if method.rows == "pairs" and (both := paired(items)).size:
            items = both
        each = 2 if paired(items).size else 1
        rows = len(examples)
        if request.bad_rows == "skip":
            suspicious = numpy.flatnonzero(index_of(examples.folder)["flags"] & SUSPICIOUS)
            items, rows = items[~numpy.isin(items["example"], suspicious)], rows - len(suspicious)
        found = figures(store, items, rows * each, max_length, batch, long_rows)
        share = 0.0 if request.validation else request.share
        if sampled and found.counted:
            trained = (rows - rows_kept_aside(rows, share)) * each
            tokens = found.tokens_kept * trained / found.counted
            steps = updates_per_epoch(packs_about(tokens, budget) if budget else -(-trained // batch), accumulation)
        else:
            training, _ = split_rows(index_of(examples.folder), numpy.unique(items["example"]), share, request.seed)
            in_training = items[numpy.isin(items["example"], training)]
            steps = steps_per_epoch(in_training, max_length, long_rows, batch, accumulation, budget)
        refused = int((items["flags"] & REFUSED != 0).sum())
        return TokenStats(
            **dict(found), sampled=sampled, refused=refused, first_refused=store.refused[:3],
            warnings=self._warnings(store, items, found), steps_per_epoch=steps, batch=request.batch, accumulation=accumulation,
        )  # fmt: skip

    def _warnings(self, store: HasTokens, items: Any, found: LengthFigures) -> list[Problem]:
        """Return warnings about training that may be unexpected, or that would end the run at its start."""
        problems = [*self._unknown_tokens(store, items), *template_warnings(items, self.template)]
        if found.counted and found.lost + found.nothing_to_learn == found.counted:
            problems.insert(0, nothing_to_train("", found.counted, found.lost, self.template, found.max_length))
        return problems

    def _unknown_tokens(self, store: HasTokens, items: Any) -> list[Problem]:
        """Return the problem of rows with tokens that have no embedding, which the run would reject."""
        if not self.embeddings or len(self.template.tokenizer) <= self.embeddings:
            return []
        highest = [store.highest_id(item) for item in items if item["length"]]
        beyond = [one for one in highest if one >= self.embeddings]
        if not beyond:
            return []
        counts = {"count": len(beyond), "rows": len(items), "value": beyond[0], "expected": self.embeddings}
        return [Problem.error(Code.TOKENS_UNKNOWN, model=self.template.model_name, **counts)]

    def _items(
        self, examples: ExampleFile, whole: bool, tell: Callable[[int, int], None]
    ) -> tuple[HasTokens, Any, bool]:
        """Return the tokens of all rows if they exist or are quick to compute, else those of a sample."""
        store = stored_tokens(self.home, examples, self.template)
        size = examples.folder.examples.stat().st_size
        if store is None and (whole or (len(examples) <= WHOLE_AT_ONCE and size <= WHOLE_BYTES)):
            store = tokenize(self.home, examples, self.template, tell=tell)
        if store is not None:
            return store, store.items, False
        key = (examples.folder.id, self.template.marks)
        if key not in self._samples:
            self._samples[key] = _Sample(examples, self.template)
        sample = self._samples[key]
        return sample, sample.items, True


def split_counts(home: Home, examples: ExampleFile, request: SplitRequest) -> SplitCounts:
    """Return the numbers of training and validation rows by source, computed by the same code as in a run."""
    report, index = DatasetReport.required(examples.folder), index_of(examples.folder)
    used = numpy.arange(len(index))
    if request.bad_rows == "skip":
        used = used[index["flags"] & SUSPICIOUS == 0]
    if request.validation:
        other = home.dataset(Path(request.validation).name)
        DatasetReport.required(other)
        measured = index_of(other)
        kept, leaked = without_leaks(index[used], measured, numpy.arange(len(measured)))
        rows = measured["row"][leaked[:20]].tolist()
        return SplitCounts(train=len(used), validation=len(kept), leaked=len(leaked), leaked_rows=rows)
    training, kept = split_rows(index, used, request.share, request.seed)
    sources = [
        SourceSplit(
            name=name,
            train=int((index[training]["source"] == number).sum()),
            validation=int((index[kept]["source"] == number).sum()),
        )
        for number, name in enumerate(report.sources)
    ]
    return SplitCounts(train=len(training), validation=len(kept), sources=sources)


class _Sample:
    """The tokens of some rows in memory."""

    def __init__(self, examples: ExampleFile, template: ChatTemplate) -> None:
        mean = examples.folder.examples.stat().st_size / len(examples)
        count = max(min(SAMPLE_ROWS, int(SAMPLE_BYTES / mean)), 20)
        positions = numpy.unique(numpy.linspace(0, len(examples) - 1, count).astype(int)).tolist()
        self.refused: list[RefusedRow] = []
        self._trained: dict[int, Any] = {}
        self._highest: dict[int, int] = {}
        items: list[tuple[int, ...]] = []
        for position in positions:
            for example, rejected in sides_of(examples[position]):
                try:
                    made = TokenizedRow(position, example.row, template.tokens(example), rejected=rejected)
                except FineTuneError as error:
                    reason = str(error.problems[0].params.get("reason", error))
                    self.refused.append(RefusedRow(row=example.row, reason=reason))
                    made = TokenizedRow(position, example.row, rejected=rejected)
                if made.tokens is not None:
                    self._trained[len(items)] = made.tokens.trained
                    self._highest[len(items)] = int(made.tokens.ids.max(initial=0))
                items.append(item_of(made, len(items)))
        self.items = numpy.array(items, dtype=ITEM)

    def highest_id(self, item: Any) -> int:
        return self._highest[int(item["start"])]

    def trained_within(self, items: Any, max_length: int) -> int:
        return sum(int(self._trained[int(item["start"])][1:max_length].sum()) for item in items)


def _next(positions: Any, start: int) -> int | None:
    """Return the first of these positions from `start`, wrapping at the end."""
    ordered = numpy.unique(positions)
    if not len(ordered):
        return None
    at = int(numpy.searchsorted(ordered, start))
    return int(ordered[at % len(ordered)])
