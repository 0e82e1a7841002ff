"""The tokens of a dataset for one model, computed once and then memory-mapped. A second start doesn't tokenize again.

    cache/tokens/<key>/ids.bin        int32, all tokens in sequence, never truncated
                       trained.bin    bool, whether each one is trained on
                       items.bin      the position of each example's tokens (`ITEM`)
                       meta.json      findings; written last

The key is a hash of what the tokens depend on: the rows, the tokenizer with its template, and the length at which
conversations are split, if any. Truncation at max_length happens when tokens are read, so that all lengths, the
statistics before the start, and the training share one store.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Required, TypedDict

import numpy
import numpy.typing
from pydantic import TypeAdapter

from interfaces.dataset_records import DatasetReport
from interfaces.disk import require_space
from interfaces.errors import FineTuneError
from interfaces.example import Example
from interfaces.example_file import ExampleFile
from interfaces.files import publish, read_json, write_json
from interfaces.folders import Home, unfinished_name
from interfaces.problems import Code
from interfaces.row_lengths import RefusedRow
from trainer.models.starter import Progress
from trainer.tokens.template import ChatTemplate, Rendered, Tokens

VERSION = 5
"""Increase this when the same rows would give other tokens."""
IGNORE_INDEX = -100
"""The label that torch's cross-entropy ignores."""
ITEM = numpy.dtype(
    [("start", "<u8"), ("length", "<u4"), ("trained", "<u4"), ("first", "<u4"), ("example", "<u4"), ("flags", "<u4")]
)
(
    NOT_WHOLE, NO_END, REFUSED, TOOLS_AS_TEXT, REASONING_AS_TEXT, PIECE, PLAIN, NO_STOP, CALL_IDS, HOLDS_SPECIAL,
    EMPTY_THINKING, REJECTED,
) = (1 << bit for bit in range(12))  # fmt: skip
_BATCH = 256
_KEPT_STORES = 12
Items = numpy.typing.NDArray[Any]


class TokenStore:
    """The tokens of one dataset on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.items: Items = numpy.fromfile(path / "items.bin", dtype=ITEM)
        refused = (read_json(path / "meta.json") or {}).get("refused")
        self.refused = TypeAdapter(list[RefusedRow]).validate_python(refused or [])
        self._ids: numpy.typing.NDArray[numpy.int32] = _mapped(path / "ids.bin", numpy.int32)
        self._trained: numpy.typing.NDArray[numpy.bool_] = _mapped(path / "trained.bin", numpy.bool_)

    def ids(self, item: Any) -> numpy.typing.NDArray[numpy.int32]:
        """Return the ids of an item (length,)."""
        return self._ids[int(item["start"]) : int(item["start"]) + int(item["length"])]

    def trained(self, item: Any) -> numpy.typing.NDArray[numpy.bool_]:
        """Return whether each token of an item is trained on (length,)."""
        return self._trained[int(item["start"]) : int(item["start"]) + int(item["length"])]

    def highest_id(self, item: Any) -> int:
        """Return the highest token id of an item, which has at least one token."""
        return int(self.ids(item).max())

    def used_ids(self) -> numpy.typing.NDArray[numpy.int32]:
        """Return the distinct ids of the first million tokens."""
        return numpy.unique(self._ids[:1_000_000])

    def trained_within(self, items: Items, max_length: int) -> int:
        """How many tokens of items longer than max_length are trained on before they are cut."""
        if not len(items):
            return 0
        starts = items["start"].astype(numpy.int64)
        # Every second sum belongs to an item, the others to the gaps; none extends to the end of the array.
        bounds = numpy.column_stack([starts + 1, starts + max_length]).ravel()
        return int(numpy.add.reduceat(self._trained, bounds, dtype=numpy.int64)[::2].sum())


class TokenSequence(TypedDict, total=False):
    """One sequence of tokens as input for a Trainer. Tokens that aren't trained on have the label `IGNORE_INDEX`."""

    input_ids: Required[list[int]]
    labels: Required[list[int]]
    desirable: bool
    """Whether to learn towards this answer or away from it."""


class TokenView(Sequence[TokenSequence]):
    """Items of a store as input for a Trainer: `input_ids` and `labels`, truncated at max_length."""

    def __init__(self, store: TokenStore, items: Items, max_length: int) -> None:
        self.store, self.items, self.max_length = store, items, max_length

    def __len__(self) -> int:
        return len(self.items)

    @property
    def lengths(self) -> Items:
        """The tokens of each item (items,)."""
        found: Items = numpy.minimum(self.items["length"], self.max_length)
        return found

    def __getitem__(self, position: Any) -> Any:
        item = self.items[position]
        ids = self.store.ids(item)[: self.max_length]
        labels = numpy.where(self.store.trained(item)[: self.max_length], ids, IGNORE_INDEX)
        return {"input_ids": ids.tolist(), "labels": labels.tolist()}


def stored_tokens(home: Home, examples: ExampleFile, template: ChatTemplate, split_at: int = 0) -> TokenStore | None:
    """Return the store of a dataset for a model if it exists."""
    path = _path(home, examples, template, split_at)
    return TokenStore(path) if read_json(path / "meta.json") is not None else None


def tokenize(
    home: Home,
    examples: ExampleFile,
    template: ChatTemplate,
    split_at: int = 0,
    tell: Progress = lambda _done, _total: None,
) -> TokenStore:
    """Return the store of a dataset for a model, after creating it if necessary.

    Raises:
        FineTuneError: the disk is full, or the template takes too long.
    """
    found = stored_tokens(home, examples, template, split_at)
    if found is not None:
        return found
    path = _path(home, examples, template, split_at)
    require_space(home.path, 2 * examples.folder.examples.stat().st_size)
    home.tokens.mkdir(parents=True, exist_ok=True)
    _forget_old(home.tokens)
    # Encode the texts of a batch in parallel. This is safe because nothing is forked after this.
    os.environ["TOKENIZERS_PARALLELISM"] = "true"
    staging = home.tokens / unfinished_name()
    staging.mkdir()
    try:
        with (staging / "ids.bin").open("wb") as ids, (staging / "trained.bin").open("wb") as trained:
            items: list[tuple[int, ...]] = []
            refused: list[RefusedRow] = []
            start = 0
            for made, problem in _tokens(examples, template, split_at, tell):
                item = item_of(made, start)
                items.append(item)
                if made.tokens is None:
                    if problem is not None and len(refused) < 20:
                        refused.append(RefusedRow(row=made.row, reason=problem.problems[0].params["reason"]))
                    continue
                made.tokens.ids.tofile(ids)
                made.tokens.trained.tofile(trained)
                start += len(made.tokens.ids)
        numpy.array(items, dtype=ITEM).tofile(staging / "items.bin")
        shown = [row.model_dump() for row in refused]
        write_json(
            staging / "meta.json", {"model": template.model_name, "dataset": examples.folder.id, "refused": shown}
        )
        if not path.exists():
            publish(staging, path)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return TokenStore(path)


@dataclass(frozen=True)
class TokenizedRow:
    """One item before it is written; it has no tokens if the template rejected the row."""

    example: int
    row: int
    tokens: Tokens | None = None
    piece: bool = False
    rejected: bool = False
    """An answer to learn away from: the rejected one of a pair, or one that is marked as undesired."""


def _tokens(
    examples: ExampleFile, template: ChatTemplate, split_at: int, tell: Progress
) -> Iterator[tuple[TokenizedRow, FineTuneError | None]]:
    for first in range(0, len(examples), _BATCH):
        tell(first, len(examples))
        sides = [
            (position, row, rejected)
            for position in range(first, min(first + _BATCH, len(examples)))
            for row, rejected in sides_of(examples[position])
        ]
        rendered: list[Rendered | FineTuneError] = [_rendered(template, row) for _, row, _ in sides]
        encoded = iter(template.batch([one for one in rendered if isinstance(one, Rendered)]))
        for (position, row, rejected), one in zip(sides, rendered, strict=True):
            if isinstance(one, FineTuneError):
                yield TokenizedRow(position, row.row, rejected=rejected), one
                continue
            tokens = next(encoded)
            pieces = (
                split_turns(row, template, split_at)
                if split_at and len(tokens.ids) > split_at and not one.plain
                else []
            )
            if len(pieces) < 2:
                yield TokenizedRow(position, row.row, tokens, rejected=rejected), None
            for piece in pieces if len(pieces) > 1 else []:
                yield TokenizedRow(position, row.row, piece, piece=True, rejected=rejected), None
    tell(len(examples), len(examples))


def sides_of(example: Example) -> list[tuple[Example, bool]]:
    """Return the conversations of a row, each with whether its answer is one to learn away from."""
    if example.rejected:
        return [(example, False), (example.rejected_side(), True)]
    return [(example, example.label is False)]


def _rendered(template: ChatTemplate, example: Example) -> Rendered | FineTuneError:
    try:
        return template.rendered(example)
    except FineTuneError as error:
        if error.problems[0].code != Code.TEMPLATE_REFUSED:
            raise
        return error


def split_turns(example: Example, template: ChatTemplate, split_at: int) -> list[Tokens]:
    """Split a long conversation before user turns into shorter ones, each with the system turn.

    Halve it until each part fits or is a single exchange, which is then truncated like any long row.
    """
    system = example.messages[:1] if example.messages[0].role == "system" else ()
    turns = example.messages[len(system) :]
    begins = [index for index, message in enumerate(turns) if message.role == "user"] or [0]

    def parts(low: int, high: int) -> list[Tokens]:
        end = begins[high] if high < len(begins) else len(turns)
        begin = 0 if low == 0 else begins[low]
        messages = turns[begin:end]
        if not any(message.train for message in messages):
            return []
        made = template.tokens(example.model_copy(update={"messages": (*system, *messages)}))
        if len(made.ids) <= split_at or high - low < 2:
            return [made]
        middle = (low + high) // 2
        return parts(low, middle) + parts(middle, high)

    try:
        return parts(0, len(begins))
    except FineTuneError:  # the template accepts the whole conversation but not its parts
        return []


def item_of(made: TokenizedRow, start: int) -> tuple[int, ...]:
    if made.tokens is None:
        return (start, 0, 0, 0, made.example, REFUSED | made.rejected * REJECTED)
    trained, rendered = made.tokens.trained, made.tokens.rendered
    # The first token has no context to predict it from.
    learned = numpy.flatnonzero(trained[1:])
    flags = (
        (not rendered.stops) * NO_STOP
        | (not rendered.whole_turns) * NOT_WHOLE | (not rendered.ends) * NO_END | made.piece * PIECE | rendered.plain * PLAIN
        | (Code.TEMPLATE_WITHOUT_TOOLS in rendered.done) * TOOLS_AS_TEXT
        | (Code.TEMPLATE_WITHOUT_REASONING in rendered.done) * REASONING_AS_TEXT
        | (Code.TEMPLATE_CALL_IDS in rendered.done) * CALL_IDS
        | (Code.ROWS_HOLD_SPECIAL in rendered.done) * HOLDS_SPECIAL
        | (Code.EMPTY_THINKING in rendered.done) * EMPTY_THINKING | made.rejected * REJECTED
    )  # fmt: skip
    first = int(learned[0]) + 1 if len(learned) else 0
    return (start, len(trained), len(learned), first, made.example, flags)


def _path(home: Home, examples: ExampleFile, template: ChatTemplate, split_at: int) -> Path:
    facts = [
        VERSION,
        DatasetReport.required(examples.folder).examples_sha256,
        tokenizer_hash(template),
        split_at,
        template.marks,
    ]
    return home.tokens / hashlib.sha256(repr(facts).encode()).hexdigest()[:32]


def tokenizer_hash(template: ChatTemplate) -> str:
    """Hash everything that affects ids and labels: vocabulary, merges, special tokens, and the chat template."""
    tokenizer = template.tokenizer
    facts = [tokenizer.backend_tokenizer.to_str(), tokenizer.chat_template, tokenizer.special_tokens_map, template.ends]
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def _forget_old(folder: Path) -> None:
    """Delete the oldest stores, which can be created again."""
    stores = sorted((path for path in folder.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime)
    for path in stores[: max(len(stores) - _KEPT_STORES, 0)]:
        shutil.rmtree(path, ignore_errors=True)


def _mapped(path: Path, dtype: type) -> Any:
    return numpy.memmap(path, dtype=dtype, mode="r") if path.stat().st_size else numpy.empty(0, dtype=dtype)
