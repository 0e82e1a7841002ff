"""Generated names of runs."""

import pytest

from interfaces.errors import FineTuneError
from interfaces.events import Stopped
from interfaces.folders import Home, RunFolder
from interfaces.problems import Code
from interfaces.run_records import RunMeta
from studio.runs.names import describe_run, next_name, rename_run
from studio.runs.state import summary_of
from tests.support.records import recorded_run


@pytest.mark.parametrize(
    ("dataset", "name"),
    [
        ("lumo-lantern.jsonl", "lumo-lantern #1"),
        ("rows.v2.csv.gz", "rows.v2 #1"),
        ("问答.xlsx", "问答 #1"),
        ("a+b (final).tsv", "a+b (final) #1"),
        (".jsonl", ".jsonl #1"),
        ("gpt4.5 answers", "gpt4.5 answers #1"),
    ],
)
def test_name_is_the_datasets_without_its_suffix(home: Home, dataset: str, name: str) -> None:
    assert next_name(home, dataset) == name


def test_numbers_go_on_from_the_highest(home: Home) -> None:
    for name in ("rows #2", "rows #9", "rows #x", "my rows #12", "rows #10 again"):
        RunMeta(name=name).write(home.create_run())
    damaged = home.create_run()
    damaged.meta.write_text("not json")
    other = home.create_run()
    other.meta.write_text('{"schema_version": 99}')
    assert next_name(home, "rows.jsonl") == "rows #10"


def test_renamed_run_is_listed_with_its_new_name(home: Home) -> None:
    folder = recorded_run(home, Stopped(step=0, resumable=False))
    RunMeta(name="old", model="starter", dataset="rows.csv").write(folder)
    assert summary_of(folder).name == "old"
    assert rename_run(folder, "  my \u202e best\n run ") == "my  best run"
    assert summary_of(folder).name == "my  best run"
    assert RunMeta.of(folder).model == "starter"


@pytest.mark.parametrize("name", ["", "  ", "\n\t", "\u202e"])
def test_name_without_a_printable_character_is_refused(home: Home, name: str) -> None:
    folder = recorded_run(home, Stopped(step=0, resumable=False))
    with pytest.raises(FineTuneError) as caught:
        rename_run(folder, name)
    assert caught.value.problems[0].code == Code.VALUE_INVALID


def test_tags_and_note_are_kept_and_listed(home: Home) -> None:
    folder = recorded_run(home, Stopped(step=0, resumable=False))
    assert summary_of(folder).tags == []
    kept = describe_run(folder, tags=[" base ", "base", "a\x00b", "", "x" * 99], note="  two\nlines ")
    assert (kept.tags, kept.note) == (["base", "ab", "x" * 40], "two\nlines")
    assert (summary_of(folder).tags, summary_of(folder).note) == (kept.tags, kept.note)


def test_tags_and_note_do_not_replace_each_other(home: Home) -> None:
    folder = recorded_run(home, Stopped(step=0, resumable=False))
    describe_run(folder, note="lower")
    assert describe_run(folder, tags=["keep"]).note == "lower"
    assert describe_run(folder, note="").tags == ["keep"]


def test_a_note_written_while_the_list_is_read_is_listed_next(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = recorded_run(home, Stopped(step=0, resumable=False))
    read = RunMeta.of

    def read_before_the_note(of: RunFolder) -> RunMeta:
        before = read(of)
        monkeypatch.undo()
        describe_run(folder, note="lower")
        return before

    monkeypatch.setattr(RunMeta, "of", read_before_the_note)
    assert summary_of(folder).note == ""
    assert summary_of(folder).note == "lower"
