"""Tokens on the disk: made once, the same as in the preview, cut and split as asked and counted."""

from pathlib import Path
from typing import Any

import numpy
import pytest

from interfaces.example_file import ExampleFile
from interfaces.folders import Home
from interfaces.trainer_jobs import RowRequest
from tests.conftest import write_rows
from tests.support.planted import clean_row

pytestmark = pytest.mark.tiny


@pytest.fixture
def template(tiny_model: Path) -> Any:
    from trainer.models.model_files import ModelFiles
    from trainer.tokens.tokenizer import load_template

    return load_template(ModelFiles(tiny_model, "tiny", None), "tiny")


def examples_of(home: Home, path: Path) -> ExampleFile:
    from trainer.data.dataset import add_dataset

    return ExampleFile(add_dataset(home, path))


def chat(*lengths: int) -> dict[str, Any]:
    """A conversation with answers of so many characters, which are as many tokens here."""
    turns = []
    for number, length in enumerate(lengths):
        turns += [
            {"role": "user", "content": f"q{number}"},
            {"role": "assistant", "content": chr(97 + number) * length},
        ]
    return {"messages": turns}


def test_preview_statistics_and_training_see_the_same_tokens(home: Home, template: Any, tmp_path: Path) -> None:
    from trainer.tokens.preview import Previewer
    from trainer.tokens.selection import select
    from trainer.tokens.token_store import IGNORE_INDEX, tokenize

    examples = examples_of(home, write_rows(tmp_path / "rows.jsonl", [clean_row(number) for number in range(40)]))
    view, _ = select(tokenize(home, examples, template), numpy.arange(40), 1000, "truncate")
    previewer = Previewer(home, template)
    for position in range(40):
        shown = previewer.answer(RowRequest(dataset=examples.folder.id, position=position, max_length=1000))
        trained = view[position]
        assert [token.id for token in shown.tokens] == trained["input_ids"]
        assert [token.id if token.trained else IGNORE_INDEX for token in shown.tokens] == trained["labels"]
        assert "".join(token.text for token in shown.tokens) == shown.text


def test_second_start_reuses_the_tokens(home: Home, template: Any, tmp_path: Path) -> None:
    from trainer.tokens.token_store import tokenize

    examples = examples_of(home, write_rows(tmp_path / "rows.jsonl", [clean_row(number) for number in range(600)]))
    reported: list[tuple[int, int]] = []
    first = tokenize(home, examples, template, tell=lambda done, total: reported.append((done, total)))
    assert reported == [(0, 600), (256, 600), (512, 600), (600, 600)]
    again = tokenize(home, examples, template, tell=lambda *_: pytest.fail("tokenized again"))
    assert again.path == first.path
    assert (again.items == first.items).all()


def test_other_rows_templates_and_splits_have_their_own_stores(home: Home, template: Any, tmp_path: Path) -> None:
    from trainer.tokens.token_store import tokenize

    rows = [clean_row(number) for number in range(5)]
    examples = examples_of(home, write_rows(tmp_path / "a.jsonl", rows))
    others = examples_of(home, write_rows(tmp_path / "b.jsonl", rows[1:]))
    paths = {tokenize(home, examples, template).path, tokenize(home, others, template).path}
    paths.add(tokenize(home, examples, template, split_at=64).path)
    template.tokenizer.chat_template = template.tokenizer.chat_template.replace("user", "user") + " "
    paths.add(tokenize(home, examples, template).path)
    assert len(paths) == 4


def test_a_build_that_is_stopped_leaves_nothing_half_done(home: Home, template: Any, tmp_path: Path) -> None:
    from trainer.tokens.token_store import stored_tokens, tokenize

    examples = examples_of(home, write_rows(tmp_path / "rows.jsonl", [clean_row(number) for number in range(600)]))

    def stop(done: int, _total: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tokenize(home, examples, template, tell=stop)
    assert list(home.tokens.iterdir()) == []
    assert stored_tokens(home, examples, template) is None


@pytest.fixture
def long_rows(home: Home, tmp_path: Path) -> ExampleFile:
    rows = [
        chat(10),
        chat(200),
        chat(30, 30, 30, 30),
        {"messages": [{"role": "user", "content": "x" * 300}, *chat(5)["messages"][1:]]},
    ]
    return examples_of(home, write_rows(tmp_path / "rows.jsonl", rows))


def chosen(home: Home, examples: ExampleFile, template: Any, max_length: int, long_rows: str) -> Any:
    from trainer.tokens.selection import select
    from trainer.tokens.token_store import tokenize

    store = tokenize(home, examples, template, max_length if long_rows == "split" else 0)
    return select(store, numpy.arange(len(examples)), max_length, long_rows)


def test_truncate_cuts_the_end_and_counts(home: Home, template: Any, long_rows: ExampleFile) -> None:
    view, findings = chosen(home, long_rows, template, 100, "truncate")
    assert [len(item["input_ids"]) for item in view][1:] == [100, 100]
    assert (findings.cut, findings.left_out.tolist(), findings.dropped, findings.split) == (3, [3], 0, 0)
    assert findings.longest > 300


def test_trained_tokens_before_truncation_match_the_count(home: Home, template: Any, long_rows: ExampleFile) -> None:
    from trainer.tokens.token_store import tokenize

    store = tokenize(home, long_rows, template)
    for max_length in (16, 50, 100, 150):
        cut = store.items[store.items["length"] > max_length]
        assert store.trained_within(cut, max_length) == sum(
            int(store.trained(item)[1:max_length].sum()) for item in cut
        )


def test_drop_leaves_them_out_and_counts(home: Home, template: Any, long_rows: ExampleFile) -> None:
    view, findings = chosen(home, long_rows, template, 100, "drop")
    assert len(view) == 1
    assert (findings.dropped, findings.cut, findings.left_out.tolist()) == (3, 0, [])


def test_split_is_between_turns_and_loses_none(home: Home, template: Any, long_rows: ExampleFile) -> None:
    view, findings = chosen(home, long_rows, template, 110, "split")
    texts = [template.tokenizer.decode([token for token in item["labels"] if token >= 0]) for item in view]
    split = "".join(text for text in texts if set(text) & set("bcd") and "a" * 50 not in text)
    for letter in "abcd":
        assert letter * 30 in split
    assert (findings.split, findings.pieces) == (1, 2)
    assert all(len(item["input_ids"]) <= 110 for item in view)
    assert findings.cut == 2  # a single exchange that is too long is cut like any row


def test_plain_text_is_trained_completely_in_windows(home: Home, template: Any, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("abc " * 100 + "\n\nshort\n")
    view, findings = chosen(home, examples_of(home, tmp_path / "a.txt"), template, 64, "truncate")
    assert (
        "".join(template.tokenizer.decode(item["input_ids"]) for item in view)
        == "abc " * 100 + "<|im_end|>short<|im_end|>"
    )
    assert all(item["labels"] == item["input_ids"] for item in view)
    assert (findings.cut, findings.split, findings.texts, findings.windows) == (0, 0, 1, 7)


def test_rows_that_a_template_refuses_are_counted_not_lost(home: Home, template: Any, tmp_path: Path) -> None:
    strict = "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('no system turns here') }}{% endif %}{% endfor %}"
    template.tokenizer.chat_template = strict + template.tokenizer.chat_template
    examples = examples_of(home, write_rows(tmp_path / "rows.jsonl", [clean_row(number) for number in range(1, 10)]))
    view, findings = chosen(home, examples, template, 1000, "truncate")
    assert len(view) == 6
    assert findings.refused.tolist() == [2, 5, 8]
    assert (view.store.refused[0].row, view.store.refused[0].reason) == (3, "no system turns here")
