"""Generated names of runs."""

import pytest

from interfaces.folders import Home
from interfaces.run_records import RunMeta
from studio.runs.names import next_name


@pytest.mark.parametrize(
    ("dataset", "name"),
    [
        ("lumo-lantern.jsonl", "lumo-lantern #1"),
        ("rows.v2.csv.gz", "rows.v2 #1"),
        ("问答.xlsx", "问答 #1"),
        ("a+b (final).tsv", "a+b (final) #1"),
        (".jsonl", ".jsonl #1"),
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
