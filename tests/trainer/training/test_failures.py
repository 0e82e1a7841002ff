import errno
from pathlib import Path

import pytest

from interfaces.config import FineTuneConfig
from interfaces.errors import FineTuneError
from interfaces.folders import RunFolder
from interfaces.problems import Code
from trainer.training.failures import out_of_memory, problem_of

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
        (RuntimeError("[enforce fail] PytorchStreamWriter failed writing file data/0: Input/output error"), Code.DISK_ERROR),
        (RuntimeError("basic_ios::clear: iostream error"), Code.DISK_ERROR),
        (OSError(errno.EIO, "Input/output error", "/x"), Code.DISK_ERROR),
        (MemoryError(), Code.OUT_OF_MEMORY),
        (OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), Code.OUT_OF_MEMORY),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:121] . DefaultCPUAllocator: can't allocate memory"), Code.OUT_OF_MEMORY),
        (KeyError("x"), Code.UNEXPECTED),
        (RuntimeError(), Code.UNEXPECTED),
    ],
)  # fmt: skip
def test_foreign_errors_become_ours(error: Exception, code: Code) -> None:
    assert problem_of(error, FOLDER, CONFIG).code == code


def test_out_of_memory_names_what_took_it() -> None:
    problem = out_of_memory(CONFIG, "cuda")
    assert problem.params == {"device": "cuda", "batch": 4, "max_length": 1024}
    assert problem.change is None
