"""Fixtures of all rooms. Tests that need torch mark their module `tiny`; those that need minutes, `story`."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from interfaces.folders import Home, RunFolder
from studio.processes.launcher import LocalLauncher

# A test that reaches for the network must fail, not wait for it.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
# Two workers on two cores: threads that wait for each other sleep instead of spinning, which is thirty times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ROOT / "assets" / "samples"


LONGEST_ROOMS = ("story", "bench", "faults", "training", "studio", "trainer")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The rooms that take longest come first, so that no worker is left with one of them while the other has nothing."""
    items.sort(key=lambda item: [*(room in item.path.parts for room in LONGEST_ROOMS), True].index(True))


@pytest.fixture(scope="session", autouse=True)
def no_run_is_left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A run that outlives its test slows down all that follow: it is ended, and the last test fails."""
    yield
    place = str(tmp_path_factory.getbasetemp())

    def of_a_run(process: psutil.Process) -> bool:
        words = process.info["cmdline"] or []
        return any(place in word for word in words) and ("run" in words or "studio.processes.supervisor" in words)

    left = [process for process in psutil.process_iter(["cmdline"]) if of_a_run(process)]
    _, left = psutil.wait_procs(left, timeout=20)
    found = [" ".join(process.info["cmdline"]) for process in left]
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    assert not found


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """An empty home; whatever still runs in it at the end is ended."""
    place = Home(tmp_path / "home")
    yield place
    import signal

    for path in place.runs.glob("*"):
        LocalLauncher().signal(RunFolder(path), signal.SIGKILL)


@pytest.fixture
def rows_file(tmp_path: Path) -> Path:
    """Eight Alpaca rows in a JSONL file."""
    return write_rows(tmp_path / "rows.jsonl", alpaca_rows(8))


def alpaca_rows(count: int) -> list[dict[str, str]]:
    """Rows that a model of two layers can learn: the answer repeats the question's number."""
    return [{"instruction": f"Say {number}.", "input": "", "output": f"Here is {number}."} for number in range(count)]


def write_rows(path: Path, rows: list[Any]) -> Path:
    """Rows as JSONL."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def until(condition: Callable[[], bool], seconds: float = 180.0) -> None:
    """Wait on a condition, not on the clock; the clock only bounds a failure."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        threading.Event().wait(0.01)


CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Qwen2 of two layers with a byte-level tokenizer and a ChatML template, as a folder."""
    return make_tiny_model(tmp_path_factory.mktemp("models") / "tiny-qwen2")


def make_tiny_model(folder: Path, template: str | None = CHATML) -> Path:
    """As `tiny_model`, with another chat template or none."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {character: index for index, character in enumerate(alphabet)}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token=special[2], pad_token=special[0])
    tokenizer.add_special_tokens({"additional_special_tokens": special[1:2]})
    tokenizer.chat_template = template
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, initializer_range=0.1, max_position_embeddings=1024, tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, bos_token_id=None,
    )  # fmt: skip
    model = Qwen2ForCausalLM(config)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def tiny_config(tiny_model: Path, rows_file: Path) -> dict[str, Any]:
    """A run of eight steps on the tiny model: about a second once torch is there."""
    return {
        "model_name": str(tiny_model),
        "dataset": str(rows_file),
        "max_length": 128,
        "num_train_epochs": 2,
        "per_device_train_batch_size": 2,
        "gradient_accumulation_steps": 1,
        "validation_split": 0,
        "learning_rate": 1e-2,
        "bf16": False,
        "cpu_threads": 1,
        "save_steps": 0,
        "eval_steps": 0,
    }


@pytest.fixture(scope="session")
def starter_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home with the starter model that the set-up fetched, and nothing else."""
    fetched = Home.of(None, os.environ)
    if not fetched.has_starter():
        pytest.skip("the starter model is not here: run 'make setup'")
    place = Home(tmp_path_factory.mktemp("home"))
    place.models.mkdir()
    place.starter.symlink_to(fetched.starter, target_is_directory=True)
    return place
