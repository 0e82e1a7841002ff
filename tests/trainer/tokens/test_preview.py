from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter

from interfaces.errors import FineTuneError
from interfaces.folders import Home
from interfaces.problems import Code, Problem
from interfaces.trainer_jobs import PreviewRequest
from tests.conftest import alpaca_rows, write_rows
from tests.support.planted import clean_row

pytestmark = pytest.mark.tiny


def answer_of(previewer: Any, request: dict[str, Any]) -> dict[str, Any]:
    """As over the pipe: the request and the answer in JSON."""
    answer: BaseModel = previewer.answer(TypeAdapter(PreviewRequest).validate_python(request))
    return answer.model_dump(mode="json")


@pytest.fixture
def ask(home: Home, tiny_model: Path, tmp_path: Path):
    from trainer.data.dataset import add_dataset
    from trainer.models.model_files import ModelFiles
    from trainer.tokens.preview import Previewer
    from trainer.tokens.tokenizer import load_template

    rows = [clean_row(number) for number in range(1, 60)]
    rows[20]["messages"][-1]["content"] = "long " * 200
    rows[30] = rows[0]
    dataset = add_dataset(home, write_rows(tmp_path / "rows.jsonl", rows)).id
    previewer = Previewer(home, load_template(ModelFiles(tiny_model, "tiny", None), "tiny"))
    return lambda op, **more: answer_of(previewer, {"op": op, "dataset": dataset, "max_length": 400, **more})


def test_row_shows_trained_tokens_and_stop_fate(ask: Any) -> None:
    row = ask("row", position=0)
    assert row["stop"] == {"token": "<|im_end|>", "fate": "trained"}
    learned = "".join(token["text"] for token in row["tokens"] if token["trained"])
    assert learned == clean_row(1)["messages"][1]["content"] + "<|im_end|>"
    assert (row["row"], row["line"], row["cut"], row["notes"]) == (1, 1, 0, [])
    special = {token["text"] for token in row["tokens"] if token.get("special")}
    assert special == {"<|im_start|>", "<|im_end|>"}
    cut = ask("row", position=20)
    assert cut["cut"] == cut["length"] - 400 > 0
    assert ask("row", position=0, max_length=20)["stop"]["fate"] == "cut"


PAIR = {"prompt": "q", "chosen": "Yes, it is.", "rejected": "No."}


@pytest.fixture
def ask_pairs(home: Home, tiny_model: Path, tmp_path: Path):
    from trainer.data.dataset import add_dataset
    from trainer.models.model_files import ModelFiles
    from trainer.tokens.preview import Previewer
    from trainer.tokens.tokenizer import load_template

    rows = [{**PAIR, "prompt": f"q{number}"} for number in range(40)]
    dataset = add_dataset(home, write_rows(tmp_path / "pairs.jsonl", rows)).id
    previewer = Previewer(home, load_template(ModelFiles(tiny_model, "tiny", None), "tiny"))
    return lambda op, **more: answer_of(previewer, {"op": op, "dataset": dataset, "max_length": 400, **more})


def test_a_pair_is_shown_with_both_answers_and_what_counts_in_each(ask_pairs: Any) -> None:
    row = ask_pairs("row", position=0)
    for side, answer in ((row, PAIR["chosen"]), (row["rejected"], PAIR["rejected"])):
        assert "".join(token["text"] for token in side["tokens"] if token["trained"]) == answer + "<|im_end|>"
        assert side["stop"]["fate"] == "trained"
    assert row["rejected"]["rejected"] is None


@pytest.mark.parametrize(("method", "steps"), [("dpo", 10), ("kto", 20)])
def test_steps_of_pairs_are_counted_as_they_are_trained(
    ask_pairs: Any, method: str, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trainer.tokens import preview

    asked = {"method": method, "batch": 4, "accumulation": 1, "share": 0}
    whole = ask_pairs("stats", **asked)
    assert (whole["steps_per_epoch"], whole["rows"], whole["counted"], whole["batch"]) == (steps, 80, 80, 4)
    monkeypatch.setattr(preview, "WHOLE_AT_ONCE", 10)
    monkeypatch.setattr(preview, "stored_tokens", lambda *_: None)
    monkeypatch.setattr(preview, "SAMPLE_ROWS", 20)
    sampled = ask_pairs("stats", **asked)
    assert (sampled["sampled"], sampled["steps_per_epoch"], sampled["rows"], sampled["counted"]) == (
        True,
        steps,
        80,
        40,
    )


def test_rows_are_found_by_problem_and_text(ask: Any) -> None:
    assert ask("find", kind="longest")["position"] == 20
    assert ask("find", kind="cut", start=0)["position"] == 20
    assert ask("find", kind="cut", start=21)["position"] == 20  # around the end
    assert ask("find", kind="suspicious", start=0)["position"] == 30
    assert ask("find", kind="lost", start=0) == {"position": None}
    assert ask("find", kind="text", text="Question 42:", start=0)["position"] == 41
    assert ask("find", kind="text", text="Question 42:", start=50)["position"] == 41
    assert ask("find", kind="text", text="nowhere", start=0) == {"position": None}
    assert ask("find", kind="row", row=59)["position"] == 58


def test_a_row_that_is_not_there_is_a_problem(ask: Any) -> None:
    with pytest.raises(FineTuneError) as raised:
        ask("row", position=59)
    assert raised.value.problems[0].code == Code.ROW_NUMBER_UNKNOWN


def test_a_large_set_is_sampled_first_and_counted_whole_when_asked(ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from trainer.tokens import preview

    monkeypatch.setattr(preview, "WHOLE_AT_ONCE", 10)
    monkeypatch.setattr(preview, "SAMPLE_ROWS", 20)
    sample = ask("stats")
    assert (sample["sampled"], sample["counted"], sample["rows"]) == (True, 20, 59)
    assert sample["steps_per_epoch"] == 4
    whole = ask("stats", whole=True)
    assert (whole["sampled"], whole["counted"], whole["cut"]) == (False, 59, 1)
    assert ask("stats")["sampled"] is False  # the store is there now


def test_the_split_that_is_shown_is_the_split_of_the_run(ask: Any) -> None:
    assert ask("split", share=0.1, seed=42, validation="")["validation"] == 6
    assert ask("split", share=0, seed=42, validation="") == {
        "train": 59, "validation": 0, "leaked": 0, "leaked_rows": [], "sources": [{"name": "rows.jsonl", "train": 59, "validation": 0}]
    }  # fmt: skip
    assert ask("split", share=0, seed=42, validation="", bad_rows="skip")["train"] == 58


def test_rows_that_are_left_out_are_in_no_figure(ask: Any) -> None:
    assert (ask("stats")["rows"], ask("stats", bad_rows="skip")["rows"]) == (59, 58)
    assert ask("stats")["tokens"] > ask("stats", bad_rows="skip")["tokens"]


def test_nothing_to_train_on_is_an_early_error(ask: Any) -> None:
    found = ask("stats", max_length=16)
    assert found["lost"] == found["counted"] == 59
    assert found["warnings"][0]["code"] == Code.NOTHING_TO_TRAIN


def test_a_file_outside_of_the_home_is_shown_without_adding_it(ask: Any, home: Home, tmp_path: Path) -> None:
    path = write_rows(tmp_path / "other.jsonl", alpaca_rows(5))
    shown = ask("file_row", file=str(path), row=3, columns={}, sample_by="paragraph")
    assert alpaca_rows(5)[2]["output"] in shown["text"]
    assert len(list(home.datasets.iterdir())) == 1


@pytest.mark.parametrize("sampled", [False, True])
def test_unknown_tokens_are_reported_before_start(
    home: Home, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sampled: bool
) -> None:
    from trainer.data.dataset import add_dataset
    from trainer.models.model_files import ModelFiles, embeddings_of
    from trainer.tokens import preview
    from trainer.tokens.tokenizer import load_template

    if sampled:
        monkeypatch.setattr(preview, "WHOLE_AT_ONCE", 1)
    files = ModelFiles(tiny_model, "tiny", None)
    template, known = load_template(files, "tiny"), embeddings_of(files)
    assert known >= len(template.tokenizer)
    dataset = add_dataset(home, write_rows(tmp_path / "rows.jsonl", alpaca_rows(8))).id
    for embeddings, codes in ((known, []), (0, []), (3, [Code.TOKENS_UNKNOWN])):
        previewer = preview.Previewer(home, template, embeddings)
        found = answer_of(previewer, {"op": "stats", "dataset": dataset, "max_length": 400})
        reported = [Problem.model_validate(one) for one in found["warnings"] if one["code"] == Code.TOKENS_UNKNOWN]
        assert [one.code for one in reported] == codes
        assert [(one.params["count"], one.params["rows"], one.params["expected"]) for one in reported] == [
            (8, 8, 3)
        ] * len(codes)
