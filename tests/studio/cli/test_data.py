"""`finetune data` as a person runs it."""

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from interfaces.folders import Home
from tests.conftest import alpaca_rows, write_rows
from tests.support.planted import planted_jsonl

pytestmark = pytest.mark.process
FINETUNE = Path(sys.executable).parent / "finetune"


def finetune(*arguments: str | Path, home: Home) -> subprocess.CompletedProcess[str]:
    command = [str(FINETUNE), *map(str, arguments), "--home", str(home.path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert "Traceback" not in done.stdout + done.stderr
    return done


def checked(path: Path, home: Home, *options: str) -> tuple[int, dict[str, Any]]:
    done = finetune("data", "check", path, "--json", *options, home=home)
    return done.returncode, json.loads(done.stdout) if done.returncode < 2 else {}


def test_check_names_all_problems_and_sets_the_exit_code(home: Home, tmp_path: Path) -> None:
    planted = planted_jsonl(tmp_path / "rows.jsonl", 200, 50, 1)
    code, report = checked(tmp_path / "rows.jsonl", home)
    assert code == 1
    assert [(one["row"], one["line"], one["kind"]) for one in report["problems"]] == [
        (fault.row, fault.line, fault.kind) for fault in planted
    ]
    assert all(one["reason"] for one in report["problems"])
    assert (report["format"], report["rows"], report["valid"]) == ("messages", 200, 150)
    code, report = checked(write_rows(tmp_path / "clean.jsonl", alpaca_rows(20)), home)
    assert (code, report["problems"], report["valid"]) == (0, [], 20)
    assert not home.datasets.exists()  # looking changes nothing


def test_leaked_training_rows_are_named(home: Home, tmp_path: Path) -> None:
    trained = write_rows(tmp_path / "train.jsonl", alpaca_rows(10))
    shouted = {key: text.upper() for key, text in alpaca_rows(10)[7].items()}
    measured = write_rows(tmp_path / "measure.jsonl", [*alpaca_rows(13)[10:], shouted])
    code, report = checked(measured, home, "--against", str(trained))
    assert code == 1
    assert [(one["line"], one["kind"], one["reason"]) for one in report["problems"]] == [
        (4, "in_both", "the row also appears in the training data (row 8).")
    ]


def test_check_of_unreadable_file_exits_with_2(home: Home, tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"no")
    done = finetune("data", "check", tmp_path / "a.parquet", "--json", home=home)
    assert (done.returncode, done.stdout) == (2, "")
    assert "it does not start with PAR1" in done.stderr


@pytest.mark.parametrize(
    ("name", "content", "shape", "line"),
    [
        ("a.csv", b"Question,Answer,id\nq,a,1\nq2,,2\n", "question_answer", 3),
        ("a.tsv", b"prompt\tcompletion\nq\ta\nq2\t\n", "prompt_completion", 3),
        ("a.txt", b"One paragraph\nof two lines.\n\nAnother.\n\nAno\x00ther.\n", "text", 6),
        ("a.json", b'{"data": [\n{"instruction": "q", "output": "a"},\n{"instruction": "q"}]}', "alpaca", 3),
        ("a.jsonl.gz", gzip.compress(b'{"text": "one"}\n{"text": ""}\n', mtime=0), "text", 2),
        ("a.json", b'[{"prompt": "q", "chosen": "good", "rejected": "bad"},\n{"prompt": "q", "chosen": 5, "rejected": ""}]', "preference", 2),
    ],
)  # fmt: skip
def test_every_format_is_read_with_its_lines(
    home: Home, tmp_path: Path, name: str, content: bytes, shape: str, line: int
) -> None:
    (tmp_path / name).write_bytes(content)
    code, report = checked(tmp_path / name, home)
    assert (code, report["format"]) == (1, shape)
    assert [one["line"] for one in report["problems"]] == [line]


def test_columns_can_be_named(home: Home, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("ask,reply\nHi,Hello\n")
    done = finetune("data", "check", tmp_path / "a.csv", home=home)
    assert (done.returncode, "has the columns ask, reply" in done.stderr) == (2, True)
    code, report = checked(tmp_path / "a.csv", home, "--column", "prompt=ask", "--column", "completion=reply")
    assert (code, report["format"], report["valid"]) == (0, "mapped", 1)
    done = finetune("data", "check", tmp_path / "a.csv", "--column", "prompt=none", home=home)
    assert "has no column 'none' for prompt" in done.stderr


def test_the_library_in_the_terminal(home: Home, tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.jsonl", alpaca_rows(4))
    dataset = finetune("data", "add", rows, home=home).stdout.strip()
    finetune("data", "rename", dataset[:6], "Mine", home=home)
    mixed = finetune("data", "mix", "Mine=2", home=home).stdout.strip()
    listed = json.loads(finetune("data", "list", "--json", home=home).stdout)
    assert {(one["id"], one["name"], one["rows"]) for one in listed} == {(dataset, "Mine", 4), (mixed, "Mine x 2", 8)}
    out = tmp_path / "out.jsonl"
    finetune("data", "download", "Mine", "--out", out, home=home)
    assert len(out.read_text().splitlines()) == 4
    assert "is not overwritten" in finetune("data", "download", "Mine", "--out", out, home=home).stderr
    assert finetune("data", "delete", "Mine", home=home).returncode == 0
    assert "Dataset 'Mine' not found" in finetune("data", "delete", "Mine", home=home).stderr


@pytest.mark.tiny
@pytest.mark.long  # trainer/tokens/test_preview has what they show
def test_preview_and_stats_of_a_model(home: Home, tiny_model: Path, tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.jsonl", alpaca_rows(5))
    done = finetune("data", "preview", rows, "--model", tiny_model, "--row", "2", "--json", home=home)
    shown = json.loads(done.stdout)
    refused = finetune("data", "stats", rows, "--model", tiny_model, "--max-tokens-per-batch", "10", home=home)
    assert refused.returncode == 2
    assert "should be at least max_length (1024), or 0" in refused.stderr
    packed = finetune(
        "data", "stats", rows, "--model", tiny_model, "--max-tokens-per-batch", "1024", "--json", home=home
    )
    assert json.loads(packed.stdout)["steps_per_epoch"] == 1
    assert set(shown["tokens"][0]) >= {"id", "text", "trained"}
    assert "".join(token["text"] for token in shown["tokens"]) == shown["text"]
    learned = "".join(token["text"] for token in shown["tokens"] if token["trained"])
    assert learned == alpaca_rows(5)[1]["output"] + "<|im_end|>"
    assert f"[[{learned}]]" in finetune("data", "preview", rows, "--model", tiny_model, "--row", "2", home=home).stdout
    assert "Row 6 of" in finetune("data", "preview", rows, "--model", tiny_model, "--row", "6", home=home).stderr
    stats = json.loads(
        finetune("data", "stats", rows, "--model", tiny_model, "--max-length", "16", "--json", home=home).stdout
    )
    assert (stats["rows"], stats["counted"], stats["cut"], stats["lost"]) == (5, 5, 5, 5)
