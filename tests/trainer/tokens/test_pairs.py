"""Two answers of a row are two sequences that stay together."""

import json
from pathlib import Path
from typing import Any

import pytest

from interfaces.folders import Home

pytestmark = pytest.mark.tiny
ROWS = [
    {"prompt": "What is it?", "chosen": "A lamp.", "rejected": "No idea."},
    {"prompt": "And this?", "chosen": "A key " * 30, "rejected": "Nothing."},
    {"prompt": "Who?", "chosen": "Ada.", "rejected": "Nobody at all."},
]


def views(home: Home, tiny_model: Path, max_length: int, long_rows: str, **more: Any) -> Any:
    import numpy

    from interfaces.example_file import ExampleFile
    from trainer.data.dataset import add_dataset
    from trainer.models.model_files import ModelFiles
    from trainer.tokens.selection import select
    from trainer.tokens.token_store import tokenize
    from trainer.tokens.tokenizer import load_template

    source = home.path / "pairs.json"
    source.parent.mkdir(parents=True, exist_ok=True)
    source.write_text(json.dumps(ROWS))
    examples = ExampleFile(add_dataset(home, source))
    store = tokenize(home, examples, load_template(ModelFiles(tiny_model, "tiny", None), "tiny"))
    return select(store, numpy.arange(len(examples)), max_length, long_rows, **more)


def test_a_pair_is_both_answers_after_the_same_prompt(home: Home, tiny_model: Path) -> None:
    from trainer.tokens.pairs import PairView

    view, findings = views(home, tiny_model, 512, "truncate", pairs=True)
    found = PairView(view)
    assert (len(found), findings.rows) == (3, 3)
    for chosen, rejected in found:
        asked = next(place for place, label in enumerate(chosen["labels"]) if label != -100)
        assert chosen["input_ids"][:asked] == rejected["input_ids"][:asked]
        assert rejected["labels"][:asked] == [-100] * asked
        assert chosen["labels"][asked:] != rejected["labels"][asked:]
    assert found.lengths.tolist() == [len(one["input_ids"]) + len(other["input_ids"]) for one, other in found]


def test_a_pair_with_one_long_side_is_dropped_as_a_whole(home: Home, tiny_model: Path) -> None:
    from trainer.tokens.pairs import PairView

    view, findings = views(home, tiny_model, 100, "drop", pairs=True)
    assert (len(PairView(view)), findings.dropped, len(findings.left_out)) == (2, 1, 0)
    view, findings = views(home, tiny_model, 100, "truncate", pairs=True)
    assert (len(PairView(view)), findings.cut) == (3, 1)


def test_single_answers_say_whether_they_are_desired(home: Home, tiny_model: Path) -> None:
    from trainer.tokens.pairs import JudgedView

    view, _ = views(home, tiny_model, 512, "truncate")
    # The two answers to a prompt are apart: KTO compares answers to different prompts.
    assert [one["desirable"] for one in JudgedView(view)] == [True] * 3 + [False] * 3
