"""A report is held to files with faults planted in them: each found, on its line, and no others."""

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest

from interfaces.errors import FineTuneError
from interfaces.example_file import ExampleFile
from interfaces.folders import DatasetFolder
from interfaces.problems import Code
from interfaces.trainer_jobs import JobProgress
from tests.conftest import write_rows
from tests.support.planted import FAULTS, REPEATED, as_array, clean_row, planted_jsonl
from trainer.data.inspection import Inspection


def inspected(path: Path, folder: Path, **options: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    report = Inspection(path, DatasetFolder(folder), **options).run()
    problems = (folder / "problems.jsonl").read_text(encoding="utf-8").splitlines()
    return report, [json.loads(line) for line in problems]


def found_in(problems: list[dict[str, Any]]) -> list[tuple[int, int, str]]:
    return [(record["row"], record["line"], record["problem"]["code"].removeprefix("row_")) for record in problems]


def test_there_are_more_than_twenty_kinds() -> None:
    assert len(FAULTS) + len(REPEATED) >= 20
    assert len({kind for kind, _ in FAULTS.values()} | set(REPEATED.values())) >= 15


MOST_ROWS = int(os.environ.get("PLANTED_ROWS", "10000"))  # a million in `make soak`


@pytest.mark.parametrize(("rows", "faults", "seed"), [(10, 5, 1), (300, 150, 2), (300, 299, 3), (MOST_ROWS, 500, 4)])
def test_every_planted_fault_is_found_on_its_line_and_nothing_else(
    tmp_path: Path, rows: int, faults: int, seed: int
) -> None:
    planted = planted_jsonl(tmp_path / "rows.jsonl", rows, faults, seed)
    report, problems = inspected(tmp_path / "rows.jsonl", tmp_path / "out")
    assert found_in(problems) == [(fault.row, fault.line, fault.kind) for fault in planted]
    assert (report.rows, report.valid) == (rows, rows - len(planted))
    assert report.invalid + report.suspicious == len(planted)


def test_a_clean_file_has_no_problem(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    assert planted_jsonl(path, MOST_ROWS, 0, seed=1) == []
    report, problems = inspected(path, tmp_path / "out")
    assert (problems, report.valid) == ([], MOST_ROWS)


def test_compressed_files_have_the_same_lines_and_offsets(tmp_path: Path) -> None:
    planted_jsonl(tmp_path / "rows.jsonl", 200, 60, 5)
    (tmp_path / "packed.jsonl.gz").write_bytes(gzip.compress((tmp_path / "rows.jsonl").read_bytes()))
    plain, packed = (
        [
            (record["row"], record["line"], record["offset"])
            for record in inspected(tmp_path / name, tmp_path / name[0])[1]
        ]
        for name in ("rows.jsonl", "packed.jsonl.gz")
    )
    assert plain == packed


def test_an_offset_leads_to_the_row(tmp_path: Path) -> None:
    planted_jsonl(tmp_path / "rows.jsonl", 300, 100, 6)
    raw = (tmp_path / "rows.jsonl").read_bytes()
    lines = raw.split(b"\n")
    for record in inspected(tmp_path / "rows.jsonl", tmp_path / "out")[1]:
        whole = raw[record["offset"] : record["offset"] + record["length"]]
        assert whole.rstrip(b"\n") == lines[record["line"] - 1]
        assert whole.decode("utf-8", "replace").startswith(record["text"][:100])


@pytest.mark.parametrize("seed", range(4))
def test_an_array_loses_no_row_behind_a_broken_one(tmp_path: Path, seed: int) -> None:
    planted = planted_jsonl(tmp_path / "rows.jsonl", 200, 40, seed, blank_lines=False)
    lines = as_array(tmp_path / "rows.jsonl", tmp_path / "rows.json")
    report, problems = inspected(tmp_path / "rows.json", tmp_path / "out")
    assert found_in(problems) == [(fault.row, lines[fault.row - 1], fault.kind) for fault in planted]
    assert (report.rows, report.valid) == (200, 160)


def test_examples_are_read_back_by_position_with_their_rows(tmp_path: Path) -> None:
    planted = {fault.row for fault in planted_jsonl(tmp_path / "rows.jsonl", 300, 30, 7)}
    report, _ = inspected(tmp_path / "rows.jsonl", tmp_path / "out")
    examples = ExampleFile(DatasetFolder(tmp_path / "out"))
    assert len(examples) == report.usable
    clean = [example for example in examples if not example.warnings]
    assert [example.row for example in clean] == [row for row in range(1, 301) if row not in planted]
    for example in clean:
        assert [message.content for message in example.messages] == [
            turn["content"] for turn in clean_row(example.row)["messages"]
        ]


def test_first_rows_are_previewed_before_reading_the_file(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.jsonl", [clean_row(number) for number in range(3000)])
    reported: list[JobProgress] = []
    Inspection(path, DatasetFolder(tmp_path / "out"), tell=reported.append).preview()
    [update] = reported
    assert update.progress is None
    assert update.preview is not None
    assert len(update.preview.examples) == 20
    assert not (tmp_path / "out").exists()


def test_one_row_is_fetched_without_reading_on(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.jsonl", [clean_row(number) for number in range(1, 301)])
    inspection = Inspection(path, DatasetFolder(tmp_path / "out"))
    assert inspection.example_at(250).messages[-1].content == clean_row(250)["messages"][-1]["content"]
    with pytest.raises(FineTuneError) as raised:
        inspection.example_at(301)
    assert raised.value.problems[0].params["rows"] == 300


def test_completely_broken_file_is_reported_without_format(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"a": \n{"b": \n')
    report, problems = inspected(tmp_path / "rows.jsonl", tmp_path / "out")
    assert (report.format, report.rows, report.usable) == (None, 2, 0)
    assert [record["problem"]["code"] for record in problems] == [Code.ROW_BROKEN_JSON] * 2


def test_unused_columns_are_reported(tmp_path: Path) -> None:
    rows = [{"question": f"q{n}", "answer": f"a{n}", "id": n, "topic": "x"} for n in range(3)]
    report, _ = inspected(write_rows(tmp_path / "rows.jsonl", rows), tmp_path / "out")
    assert (report.format, report.columns) == ("question_answer", {"prompt": "question", "completion": "answer"})
    assert report.unused_columns == ["id", "topic"]


def test_null_means_the_same_in_every_file_type(tmp_path: Path) -> None:
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    def row(symbol: str | None) -> dict[str, Any]:
        call = {"function": {"name": "price", "arguments": {"symbol": symbol, "day": "today"}}}
        return {
            "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "", "tool_calls": [call]}]
        }

    rows = [row(None), row("ADA")]
    write_rows(tmp_path / "rows.jsonl", rows)
    parquet.write_table(arrow.Table.from_pylist(rows), tmp_path / "rows.parquet")
    for name in ("rows.jsonl", "rows.parquet"):
        inspected(tmp_path / name, tmp_path / f"out-{name}")
        calls = [one.messages[-1].tool_calls[0] for one in ExampleFile(DatasetFolder(tmp_path / f"out-{name}"))]
        assert [call.arguments for call in calls] == [{"day": "today"}, {"symbol": "ADA", "day": "today"}], name


def test_keys_inside_of_turns_that_are_not_used_are_counted(tmp_path: Path) -> None:
    answer = {"role": "assistant", "content": "a", "mood": "calm"}
    rows = [{"messages": [{"role": "user", "content": f"q{n}"}, answer]} for n in range(3)]
    report, _ = inspected(write_rows(tmp_path / "rows.jsonl", rows), tmp_path / "out")
    assert report.unused_keys == {"mood": 3}


def test_late_column_is_used_and_reported(tmp_path: Path) -> None:
    rows = [{"instruction": f"q{n}", "output": f"a{n}"} for n in range(300)]
    rows[250] |= {"input": "CONTEXT", "system": "SYSTEM", "other": 1}
    report, _ = inspected(write_rows(tmp_path / "rows.jsonl", rows), tmp_path / "out")
    assert report.columns == {"prompt": "instruction", "completion": "output", "input": "input", "system": "system"}
    assert report.unused_columns == ["other"]
    example = ExampleFile(DatasetFolder(tmp_path / "out"))[250]
    assert [message.content for message in example.messages] == ["SYSTEM", "q250\nCONTEXT", "a250"]


def test_many_broken_rows_do_not_prevent_format_detection(tmp_path: Path) -> None:
    good = json.dumps({"prompt": "q", "completion": "a"})
    (tmp_path / "rows.jsonl").write_text("{broken\n" * 150 + good + "\n")
    report, _ = inspected(tmp_path / "rows.jsonl", tmp_path / "out")
    assert (report.format, report.rows, report.valid) == ("prompt_completion", 151, 1)


def test_rows_with_other_tools_or_marks_are_no_duplicates(tmp_path: Path) -> None:
    talk = clean_row(1)["messages"]
    silent = [*talk[:-1], {**talk[-1], "weight": 0}, *talk[-2:]]
    rows = [
        {"messages": talk},
        {"messages": talk, "tools": [{"name": "f"}]},
        {"messages": [*talk, *talk[-2:]]},
        {"messages": silent},
    ]
    assert inspected(write_rows(tmp_path / "rows.jsonl", rows), tmp_path / "out")[1] == []


@pytest.mark.parametrize("kind", ["parquet", "jsonl.gz"])
def test_decompression_bomb_is_stopped(tmp_path: Path, kind: str) -> None:
    path, text = tmp_path / f"bomb.{kind}", "word " * 20_000
    if kind == "parquet":
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.table({"text": [text] * 1600}), path, compression="zstd")
    else:
        path.write_bytes(gzip.compress(f'{{"text": "{text}"}}\n'.encode() * 1600))
    assert path.stat().st_size < 300_000
    with pytest.raises(FineTuneError, match="decompresses to more than 1") as raised:
        Inspection(path, DatasetFolder(tmp_path / "dataset")).run()
    assert raised.value.problems[0].code == Code.UNPACKS_TOO_LARGE
