"""`finetune data duplicates`, `personal` and `divide` as processes."""

import json
from pathlib import Path

import pytest

from interfaces.example_file import ExampleFile
from interfaces.folders import Home
from studio.datasets.library import list_datasets
from tests.conftest import write_rows
from tests.support.terminal import finetune, refused

pytestmark = pytest.mark.process
LONG = "The lantern charges from empty to full in forty-seven minutes of sunshine, and it glows for nine nights"


@pytest.fixture
def dataset(home: Home, tmp_path: Path) -> str:
    rows = [{"prompt": f"Question {n}?", "completion": f"{n * 7919} is the answer to {n}"} for n in range(8)]
    rows += [{"prompt": "How?", "completion": f"{LONG}{end}"} for end in ".!"]
    rows += [{"prompt": "Who?", "completion": "ada@example.org"}]
    done = finetune("data", "add", write_rows(tmp_path / "rows.jsonl", rows), home=home)
    assert done.returncode == 0, done.stderr
    return list_datasets(home)[0].id


def test_duplicates_and_personal_data_are_told_and_removed(home: Home, dataset: str) -> None:
    told = finetune("data", "duplicates", dataset, home=home).stdout
    assert "1 groups with 2 of 11 rows" in told
    assert "rows 9, 10" in told
    removed = json.loads(finetune("data", "duplicates", dataset, "--remove", "--json", home=home).stdout)["dataset"]
    assert len(ExampleFile(home.dataset(removed))) == 10
    told = finetune("data", "personal", removed, "--mask", "email,phone", home=home).stdout
    assert "row 10: email ada…org" in told
    masked = told.strip().rpartition("Masked: ")[2]
    assert ExampleFile(home.dataset(masked))[9].messages[-1].content == "[EMAIL]"
    assert "names" in refused(finetune("data", "personal", dataset, "--mask", "names", home=home))


def test_a_dataset_is_divided(home: Home, dataset: str) -> None:
    shown = finetune("data", "divide", dataset, "--share", "0.3", home=home).stdout.splitlines()
    sizes = [len(ExampleFile(home.dataset(line.split()[0]))) for line in shown[1:]]
    assert sizes == [8, 3]
