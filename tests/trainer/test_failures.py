import errno
from pathlib import Path

import pytest

from interfaces.config import FineTuneConfig
from interfaces.folders import RunFolder
from interfaces.problems import Code, FineTuneError, Problem
from trainer.failures import out_of_memory, problem_of

FOLDER = RunFolder(Path("/tmp"))
CONFIG = FineTuneConfig(dataset="x")


class OutOfMemoryError(RuntimeError):
    """As torch's, by name."""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (FineTuneError.of(Code.FILE_EMPTY, path="a"), Code.FILE_EMPTY),
        (OSError(errno.ENOSPC, "No space left on device"), Code.DISK_FULL),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), Code.DISK_FULL),
        (OSError(errno.EROFS, "Read-only file system", "/x"), Code.NOT_WRITABLE),
        (RuntimeError("[enforce fail at inline_container.cc:858] . unexpected pos 80064 vs 79952"), Code.DISK_FULL),
        (MemoryError(), Code.OUT_OF_MEMORY),
        (OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), Code.OUT_OF_MEMORY),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:121] . DefaultCPUAllocator: can't allocate memory"), Code.OUT_OF_MEMORY),
        (KeyError("x"), Code.UNEXPECTED),
        (RuntimeError(), Code.UNEXPECTED),
    ],
)  # fmt: skip
def test_foreign_errors_become_ours(error: Exception, code: Code) -> None:
    assert problem_of(error, FOLDER, CONFIG).code == code


@pytest.mark.parametrize(
    ("settings", "change"),
    [
        (
            {"per_device_train_batch_size": 8, "gradient_accumulation_steps": 2},
            {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 4},
        ),
        ({"per_device_train_batch_size": 1}, {"gradient_checkpointing": True}),
        (
            {"per_device_train_batch_size": 1, "gradient_checkpointing": True},
            {"load_in_8bit": False, "load_in_4bit": True},
        ),
        (
            {"per_device_train_batch_size": 1, "gradient_checkpointing": True, "load_in_4bit": True, "max_length": 512},
            {"max_length": 256},
        ),
    ],
)
def test_out_of_memory_comes_with_the_gentlest_cure(settings: dict[str, object], change: dict[str, object]) -> None:
    problem = out_of_memory(CONFIG.model_copy(update=settings), "cuda")
    assert isinstance(problem, Problem)
    assert problem.change == change
