"""Whatever a file holds, the answer is a dataset with a report or a sentence, soon. Long form: `make soak`."""

import os
import random
import time
from pathlib import Path

import pytest

from interfaces.errors import FineTuneError
from interfaces.example import Example
from interfaces.example_file import ExampleFile
from interfaces.folders import DatasetFolder
from interfaces.texts import sentence
from tests.support.fuzz import KINDS, mutated, seed_file
from trainer.data.inspection import Inspection

FILES = int(os.environ.get("FUZZ_FILES", "1000"))
MOST_SECONDS = 10.0


@pytest.mark.parametrize("kind", KINDS)
def test_mutated_file_gives_report_or_error_never_crash(tmp_path: Path, kind: str) -> None:
    for number in range(FILES // len(KINDS)):
        rng = random.Random(f"{kind} {number}")
        path = tmp_path / f"{number}.{kind}"
        path.write_bytes(mutated(seed_file(kind, rng), rng))
        begun = time.process_time()
        folder = DatasetFolder(tmp_path / "out")
        try:
            report = Inspection(path, folder).run()
        except FineTuneError as error:
            said = [text for problem in error.problems for text in (sentence(problem), sentence(problem, "zh"))]
        else:
            said = ["a report"]
            assert report.valid + report.suspicious + report.invalid == report.rows
            examples = ExampleFile(folder)
            assert len(examples) == report.usable == sum(isinstance(example, Example) for example in examples)
        assert all(said)
        assert time.process_time() - begun < MOST_SECONDS, path.read_bytes()[:200]
        path.unlink()
