"""Limits of children, as a person would meet them: a file or a template that wants too much, and a sentence."""

import os
import subprocess
import sys

import pytest

from interfaces.dataset_records import ShownRow
from interfaces.errors import FineTuneError
from interfaces.folders import Home
from interfaces.problems import Code
from interfaces.trainer_jobs import AddedDataset, RowRequest, ignore_progress
from studio.processes.trainer_child import Previews, TrainerChild, run_trainer
from tests.conftest import make_tiny_model
from tests.support.fuzz import DEADLY
from trainer.data.limits import processor_seconds, written_bytes

pytestmark = pytest.mark.tiny


def test_memory_above_the_limit_is_refused_not_taken() -> None:
    code = "from trainer.data.limits import limit_memory; limit_memory(300_000_000)\ntry: b'x' * 10**9\nexcept MemoryError: print('refused')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "refused\n"


def test_processor_time_above_the_limit_ends_the_process() -> None:
    code = "from trainer.data.limits import limit_processor; limit_processor(1)\nwhile True: pass"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, timeout=300)
    assert done.returncode == -24  # SIGXCPU


def test_cpu_time_limit_grows_with_file_size() -> None:
    assert processor_seconds(10**9) >= 90
    assert processor_seconds(0) == 60


def test_slow_child_is_ended_and_reported() -> None:
    child = TrainerChild(["preview", "--", "starter"], "starter")
    with pytest.raises(FineTuneError) as raised:
        child.ask(None, ShownRow, ignore_progress, 0.3)
    assert raised.value.problems[0].code == Code.CHILD_OVER_LIMIT
    assert not child.alive


@pytest.mark.parametrize(
    "template",
    DEADLY if "PLANTED_ROWS" in os.environ else [DEADLY[0], pytest.param(DEADLY[1], marks=pytest.mark.long)],
)
def test_uninterruptible_template_is_killed_with_its_child(home: Home, tmp_path, template: str) -> None:
    from tests.conftest import alpaca_rows, write_rows
    from trainer.data.dataset import add_dataset

    dataset = add_dataset(home, write_rows(tmp_path / "rows.jsonl", alpaca_rows(3))).id
    model = str(make_tiny_model(tmp_path / "model", template))
    previews = Previews(home.path)
    asked = RowRequest(dataset=dataset, position=0, max_length=100)
    for _ in range(2):  # the next question starts another child
        with pytest.raises(FineTuneError) as raised:
            previews.ask(model, "main", asked, ShownRow)
        assert raised.value.problems[0].code in (Code.TEMPLATE_TOO_SLOW, Code.TEMPLATE_REFUSED)
    previews.close()


def test_a_compressed_flood_is_stopped(home: Home, tmp_path) -> None:
    import gzip

    (tmp_path / "flood.jsonl.gz").write_bytes(gzip.compress(b'{"prompt": "' + b"x" * 300_000_000, 9))
    arguments = ["inspect", "--home", str(home.path), "--", str(tmp_path / "flood.jsonl.gz")]
    assert run_trainer(arguments, AddedDataset, seconds=120).dataset


def test_what_is_written_is_bounded_by_what_was_read() -> None:
    assert written_bytes(494, compressed=True) < 101_000_000
    assert written_bytes(10**9, compressed=False) > written_bytes(10**9, compressed=True) > 50 * 10**9
