"""What a run trains on: `test_token_store.py` has rows that are cut, split or left out; here are the windows of texts."""

import numpy
import pytest

pytestmark = pytest.mark.tiny


def test_a_long_text_continues_in_windows_and_a_conversation_does_not() -> None:
    from trainer.tokens.selection import windows_of
    from trainer.tokens.token_store import ITEM, PLAIN

    items = numpy.array([(0, 25, 24, 1, 0, PLAIN), (25, 25, 5, 3, 1, 0)], dtype=ITEM)
    found = windows_of(items, 10)
    assert [(int(one["start"]), int(one["length"])) for one in found] == [(0, 10), (10, 10), (20, 5), (25, 25)]
