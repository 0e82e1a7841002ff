"""Rows that say nearly the same: MinHash (Broder 1997) over pieces of five characters, then their exact similarity.

The signatures are cut into bands, and rows that agree in a band are compared: two rows with a similarity of 0.8 are found
with a probability of 99 %, those with 0.9 always. A row counts as repeated from a Jaccard similarity of 0.8 on, of the
whole row and of what is learned from it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy
import numpy.typing
from datasketch import MinHash

from interfaces.dataset_requests import Duplicates
from interfaces.example import Example
from interfaces.example_file import ExampleFile
from interfaces.folders import DatasetFolder
from interfaces.trainer_jobs import JobProgress, OnProgress, ignore_progress

SIMILAR = 0.8
BANDS, ROWS_OF_A_BAND = 16, 6
PIECE = 5
TELL_ROWS = 500
MOST_COMPARED = 200
"""Rows of a band's bucket that each row is compared with at most: in data from a template, thousands may agree."""
_FACTOR = numpy.uint64(0x9E3779B97F4A7C15)
Pieces = numpy.typing.NDArray[numpy.uint32]


def find_duplicates(folder: DatasetFolder, tell: OnProgress = ignore_progress) -> Duplicates:
    """Group the rows of a dataset that say nearly the same."""
    begun, examples = time.monotonic(), ExampleFile(folder)
    count = len(examples)
    keys = numpy.empty((count, BANDS), dtype=numpy.uint64)
    for position in range(count):
        if position % TELL_ROWS == 0:
            tell(JobProgress(progress=(position, 2 * count), rows=position))
        keys[position] = band_keys(pieces_of(examples[position]))
    parents = list(range(count))

    def root(position: int) -> int:
        while parents[position] != position:
            parents[position] = parents[parents[position]]
            position = parents[position]
        return position

    for band in range(BANDS):
        tell(JobProgress(progress=(count + band * count // BANDS, 2 * count), rows=count))
        for bucket in _buckets(keys[:, band]):
            leaders: list[tuple[int, Example]] = []
            for position in bucket:
                if any(root(position) == root(leader) for leader, _ in leaders):
                    continue
                example = examples[position]
                for leader, theirs in leaders:
                    if _say_the_same(example, theirs):
                        low, high = sorted((root(position), root(leader)))
                        parents[high] = low
                        break
                else:
                    if len(leaders) < MOST_COMPARED:
                        leaders.append((position, example))
    groups: dict[int, list[int]] = {}
    for position in range(count):
        groups.setdefault(root(position), []).append(position)
    found = [group for group in groups.values() if len(group) > 1]
    return Duplicates(groups=found, rows=count, seconds=round(time.monotonic() - begun, 2))


def _say_the_same(one: Example, other: Example) -> bool:
    """Return whether two rows are alike as a whole, and in what is learned from them.

    Rows from one template, or about one document, have most of their text in common, but not their answers.
    """
    return (
        similarity(pieces_of(one), pieces_of(other)) >= SIMILAR
        and similarity(pieces_of(one, answers=True), pieces_of(other, answers=True)) >= SIMILAR
    )


def pieces_of(example: Example, answers: bool = False) -> Pieces:
    """Return the hashes of all pieces of five characters of what is asked and answered, or only of the answers that are
    trained on, without case and spaces.

    System prompts are left out: they are often the same in all rows.
    """
    parts = [example.text or ""]
    for turn in example.turns():
        if turn.train if answers else turn.role != "system":
            parts += [turn.content, *(call.model_dump_json(exclude={"id"}) for call in turn.tool_calls)]
    text = " ".join("\n".join(parts).casefold().split()).ljust(PIECE)
    codes = numpy.frombuffer(text.encode("utf-32-le", "replace"), dtype=numpy.uint32).astype(numpy.uint64)
    hashes = numpy.zeros(len(codes) - PIECE + 1, dtype=numpy.uint64)
    for place in range(PIECE):
        hashes = hashes * _FACTOR + codes[place : place + len(hashes)]
    mixed = (hashes ^ (hashes >> numpy.uint64(29))) * numpy.uint64(0xBF58476D1CE4E5B9) >> numpy.uint64(32)
    return numpy.unique(mixed).astype(numpy.uint32)


_SEEDED = MinHash(num_perm=BANDS * ROWS_OF_A_BAND, seed=1)


def band_keys(pieces: Pieces) -> numpy.typing.NDArray[numpy.uint64]:
    """Return a hash of each band of a row's signature."""
    signature = MinHash(
        num_perm=BANDS * ROWS_OF_A_BAND, seed=1, hashfunc=int, permutations=_SEEDED.permutations, scheme=_SEEDED.scheme
    )
    signature.update_batch(pieces.tolist())
    bands = signature.hashvalues.astype(numpy.uint64).reshape(BANDS, ROWS_OF_A_BAND)
    keys = numpy.zeros(BANDS, dtype=numpy.uint64)
    for place in range(ROWS_OF_A_BAND):
        keys = keys * _FACTOR + bands[:, place]
    return keys


def similarity(one: Pieces, other: Pieces) -> float:
    """Return the Jaccard similarity: the share of all pieces that both have."""
    shared = len(numpy.intersect1d(one, other, assume_unique=True))
    return shared / (len(one) + len(other) - shared)


def _buckets(keys: numpy.typing.NDArray[numpy.uint64]) -> Iterator[list[int]]:
    """Yield the positions of equal keys, in order, where there are several."""
    order = numpy.argsort(keys, kind="stable")
    borders = numpy.flatnonzero(numpy.diff(keys[order])) + 1
    for bucket in numpy.split(order, borders):
        if len(bucket) > 1:
            yield bucket.tolist()
