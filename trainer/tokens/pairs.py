"""Views of a run's tokens for the methods that compare answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy

from interfaces.method_settings import Rows
from trainer.tokens.token_store import REJECTED, Items, TokenSequence, TokenView


class PairView(Sequence[list[TokenSequence]]):
    """Pairs as [chosen, rejected], each with `input_ids` and `labels`."""

    def __init__(self, view: TokenView) -> None:
        rejected = view.items["flags"] & REJECTED != 0
        # Items are in the order of the rows, so the two answers of a row are at the same position.
        self._chosen, self._rejected = (
            TokenView(view.store, view.items[which], view.max_length) for which in (~rejected, rejected)
        )

    def __len__(self) -> int:
        return len(self._chosen)

    @property
    def lengths(self) -> Items:
        """The tokens of both answers of each pair (pairs,)."""
        return self._chosen.lengths + self._rejected.lengths

    def __getitem__(self, position: Any) -> Any:
        return [self._chosen[position], self._rejected[position]]


class JudgedView(Sequence[TokenSequence]):
    """Single answers, each with `desirable`: whether to learn towards it or away from it.

    The rejected answers of pairs come after all chosen ones, because KTO compares the answers to different prompts.
    """

    def __init__(self, view: TokenView) -> None:
        items = view.items
        if len(numpy.unique(items["example"])) < len(items):
            items = items[numpy.argsort(items["flags"] & REJECTED, kind="stable")]
        self._view = TokenView(view.store, items, view.max_length)

    def __len__(self) -> int:
        return len(self._view)

    @property
    def lengths(self) -> Items:
        """The tokens of each answer (answers,)."""
        return self._view.lengths

    def __getitem__(self, position: Any) -> Any:
        desirable = not self._view.items[position]["flags"] & REJECTED
        return {**self._view[position], "desirable": desirable}


def view_for(rows: Rows, view: TokenView) -> TokenView | PairView | JudgedView:
    """Return a run's items as its method trains on them."""
    return PairView(view) if rows == "pairs" else JudgedView(view) if rows == "labels" else view
