"""What the trainer's child says of datasets: a whole record or none."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from interfaces.dataset_records import DatasetReport, HubSplits, RowProblem
from interfaces.errors import FineTuneError
from interfaces.files import write_json
from interfaces.folders import DatasetFolder, Home
from interfaces.problems import Code, Problem
from interfaces.texts import sentence

WHOLE = {"name": "me/rows", "configs": ["default"], "config": "default", "splits": [{"name": "train", "files": 2, "bytes": 9}]}  # fmt: skip


def test_child_records_are_read_completely() -> None:
    assert HubSplits.model_validate(WHOLE).splits[0].files == 2


@pytest.mark.parametrize("change", [{"more": 1}, {"splits": [{"name": "train"}]}, {"configs": None}])
def test_half_a_record_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        HubSplits.model_validate({**WHOLE, **change})


@pytest.mark.parametrize(
    ("valid", "usable", "invalid", "stop", "skip"),
    [(5, 5, 0, None, None), (3, 4, 1, 1, None), (0, 4, 1, 1, 1), (0, 4, 0, None, 4), (0, 0, 2, 2, 2)],
)
def test_invalid_rows_block_a_start_per_setting(
    valid: int, usable: int, invalid: int, stop: int | None, skip: int | None
) -> None:
    counts = {
        "rows": usable + invalid,
        "valid": valid,
        "usable": usable,
        "invalid": invalid,
        "suspicious": usable - valid,
    }
    report = DatasetReport(name="a", format=None, bytes=1, sources=["a"], **counts)
    for setting, count in (("stop", stop), ("skip", skip)):
        refused = report.blocking(setting)
        assert (refused.params["count"] if refused else None) == count


def test_a_report_comes_back_as_it_was_written(home: Home) -> None:
    problem = Problem.warning(Code.ROW_DUPLICATE, path="a", row=2, line=2, field=None, first_row=1)
    report = DatasetReport(
        name="你好", format="text", rows=2, valid=1, invalid=0, suspicious=1, usable=2, bytes=9, sources=["你好"],
        first=[RowProblem(row=2, line=2, problem=problem, text="x")],
    )  # fmt: skip
    folder = home.dataset("0123456789abcdef")
    folder.path.mkdir(parents=True)
    assert DatasetReport.of(folder) is None
    report.write(folder)
    assert DatasetReport.required(folder) == report
    folder.report.write_text("{}")
    with pytest.raises(FineTuneError) as raised:
        DatasetReport.required(folder)
    assert raised.value.problems[0].code == Code.DATASET_NOT_FOUND


def test_report_with_old_count_names_is_read(home: Home) -> None:
    folder = home.dataset("0123456789abcdef")
    folder.path.mkdir(parents=True)
    counts = {"rows": 5, "good": 3, "at_fault": 1, "doubtful": 1, "usable": 4, "bytes": 9}
    write_json(folder.report, {"name": "a", "format": "text", "sources": ["a"], **counts})
    report = DatasetReport.required(folder)
    assert (report.valid, report.invalid, report.suspicious) == (3, 1, 1)
    assert {"valid", "invalid", "suspicious"} <= report.model_dump().keys()


def test_report_without_a_valid_row_is_read_back(tmp_path: Path) -> None:
    """Its format is unknown; such a dataset is listed with its errors, and can be deleted."""
    folder = DatasetFolder(tmp_path)
    report = DatasetReport(
        name="random.jsonl", format=None, rows=793, valid=0, invalid=793, suspicious=0, usable=0, bytes=1, sources=["x"]
    )
    report.write(folder)
    assert DatasetReport.of(folder) == report


PAIRS, LABELS, ANSWERS = {"pairs": 4}, {"desired": 3, "undesired": 1}, {}


@pytest.mark.parametrize(
    ("holds", "method", "reason", "instead"),
    [
        (PAIRS, "dpo", None, None),
        (PAIRS, "kto", None, None),
        (PAIRS, "sft", "has_rejected", "dpo"),
        (LABELS, "kto", None, None),
        (LABELS, "sft", "has_rejected", "kto"),
        (LABELS, "dpo", "needs_pairs", "kto"),
        (ANSWERS, "sft", None, None),
        (ANSWERS, "pretrain", "needs_texts", "sft"),
        ({"texts": 4}, "pretrain", None, None),
        ({"texts": 4}, "sft", None, None),
        ({"texts": 4}, "dpo", "needs_pairs", "pretrain"),
        ({"texts": 3}, "pretrain", "needs_texts", "sft"),
        (ANSWERS, "dpo", "needs_pairs", "sft"),
        (ANSWERS, "kto", "needs_labels", "sft"),
        ({"pairs": 3}, "orpo", "needs_pairs", None),
        ({"desired": 4}, "kto", "only_desired", None),
        ({"undesired": 4}, "kto", "only_undesired", None),
        ({"desired": 4}, "sft", None, None),
    ],
)
def test_rows_that_do_not_suit_a_method_are_refused_with_the_right_one(
    holds: dict[str, int], method: str, reason: str | None, instead: str | None
) -> None:
    counts = {"rows": 4, "valid": 4, "usable": 4, "invalid": 0, "suspicious": 0, "bytes": 1, "sources": ["a"]}
    report = DatasetReport.model_validate({"name": "a", **counts, "holds": holds})
    unfit = report.unfit_for(method, "stop")
    assert (unfit.params["reason"] if unfit else None) == reason
    assert ((unfit.change or {}).get("method") if unfit else None) == instead
    assert unfit is None or "{" not in sentence(unfit) + sentence(unfit, "zh")


def test_fine_tuning_may_leave_out_undesired_answers() -> None:
    counts = {"rows": 4, "valid": 4, "usable": 4, "invalid": 0, "suspicious": 0, "bytes": 1, "sources": ["a"]}
    report = DatasetReport.model_validate({"name": "a", **counts, "holds": LABELS})
    assert report.unfit_for("sft", "skip") is None
    nothing_left = report.model_copy(update={"holds": report.holds.model_copy(update={"undesired": 4, "desired": 0})})
    assert nothing_left.unfit_for("sft", "skip") is not None


def test_a_dataset_of_an_earlier_version_asks_to_be_added_again() -> None:
    counts = {"rows": 4, "valid": 4, "usable": 4, "invalid": 0, "suspicious": 0, "bytes": 1, "sources": ["a"]}
    old = DatasetReport.model_validate({"name": "a", **counts, "format": "preference"})
    unfit = old.unfit_for("dpo", "stop")
    assert unfit is not None
    assert "add the file again" in sentence(unfit)
    assert old.unfit_for("sft", "stop") is None
    problem = Problem.error(Code.ROW_UNDESIRED, field="label", value="false", path="a", row=1)
    assert RowProblem.model_validate({"row": 1, "problem": problem.model_dump(mode="json")}).problem == problem
