from pathlib import Path

import pytest

from interfaces.errors import FineTuneError
from interfaces.evaluations import EvaluationSpec
from interfaces.files import write_json
from interfaces.folders import Home
from interfaces.job_folders import EvaluationFolder
from interfaces.problems import Code
from studio.datasets.library import (
    dataset_name,
    delete_dataset,
    describe,
    ensure_dataset,
    find_dataset,
    list_datasets,
    restore_dataset,
    with_datasets,
)
from tests.conftest import write_rows

pytestmark = pytest.mark.process


def test_a_file_is_added_and_its_id_is_known_afterwards(home: Home, rows_file: Path) -> None:
    dataset = ensure_dataset(home, str(rows_file))
    assert ensure_dataset(home, dataset) == dataset
    assert dataset_name(home, dataset) == "rows.jsonl"
    assert dataset_name(home, "/else/where.json") == "where.json"


def test_child_reports_unusable_files(home: Home, tmp_path: Path) -> None:
    with pytest.raises(FineTuneError) as raised:
        ensure_dataset(home, str(tmp_path / "none.jsonl"))
    assert raised.value.problems[0].code == Code.FILE_MISSING


def test_option_like_file_name_and_invalid_rows_are_handled(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "-rf.jsonl"
    path.write_text('[1]\n{"prompt": "a", "completion": "b"}\n')
    with pytest.raises(FineTuneError) as raised:
        with_datasets(home, {"dataset": str(path)})
    problem = raised.value.problems[0]
    assert (problem.code, problem.params["count"]) == (Code.BAD_ROWS, 1)
    assert problem.params["first"][0]["code"] == Code.ROW_NOT_OBJECT
    kept = with_datasets(home, {"dataset": str(path), "bad_rows": "skip"})
    assert describe(home, kept["dataset"]).valid == 1


def test_dataset_is_found_by_id_prefix_or_name(home: Home, rows_file: Path) -> None:
    dataset = ensure_dataset(home, str(rows_file))
    for reference in (dataset, dataset[:5], "rows.jsonl"):
        assert find_dataset(home, reference).id == dataset
    with pytest.raises(FineTuneError):
        find_dataset(home, "nothing")


def test_deleting_used_dataset_requires_confirmation(home: Home, rows_file: Path) -> None:
    dataset = ensure_dataset(home, str(rows_file))
    run = home.create_run()
    write_json(run.meta, {"name": "", "dataset": "rows.jsonl", "dataset_id": dataset})
    assert list_datasets(home)[0].runs == (run.id,)
    with pytest.raises(FineTuneError) as raised:
        delete_dataset(home, dataset)
    assert run.id in raised.value.problems[0].params["known"]
    delete_dataset(home, dataset, although_used=True)
    assert list_datasets(home) == []
    restore_dataset(home, dataset)
    assert list_datasets(home)[0].id == dataset


def test_a_dataset_of_an_evaluation_is_in_use(home: Home, rows_file: Path) -> None:
    dataset, run = ensure_dataset(home, str(rows_file)), home.create_run()
    EvaluationSpec(dataset=dataset).write(EvaluationFolder.create(run))
    assert list_datasets(home)[0].runs == (run.id,)


def test_ambiguous_id_prefix_finds_nothing(home: Home, tmp_path: Path) -> None:
    for number in range(17):  # of seventeen ids two begin alike
        ensure_dataset(
            home, str(write_rows(tmp_path / f"{number}.jsonl", [{"prompt": f"q{number}", "completion": "a"}]))
        )
    begins = [summary.id[0] for summary in list_datasets(home)]
    twice = next(begin for begin in begins if begins.count(begin) > 1)
    with pytest.raises(FineTuneError) as raised:
        find_dataset(home, twice)
    assert raised.value.problems[0].code == Code.RUN_AMBIGUOUS


def test_a_dataset_is_deleted_added_and_deleted_again(home: Home, rows_file: Path) -> None:
    dataset = ensure_dataset(home, str(rows_file))
    delete_dataset(home, dataset)
    assert ensure_dataset(home, str(rows_file)) == dataset
    delete_dataset(home, dataset)
    ensure_dataset(home, str(rows_file))
    restore_dataset(home, dataset)
    assert [summary.id for summary in list_datasets(home)] == [dataset]


def test_other_version_dataset_is_listed_and_raises_when_opened(home: Home) -> None:
    folder = home.dataset("0" * 16)
    folder.path.mkdir(parents=True)
    folder.report.write_text('{"schema_version": 2, "name": "a.jsonl"}')
    assert [summary.id for summary in list_datasets(home)] == [folder.id]
    with pytest.raises(FineTuneError, match="schema version 2"):
        describe(home, folder.id)
