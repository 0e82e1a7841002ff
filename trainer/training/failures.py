"""The only place that converts foreign errors to Problems. The log gets the traceback, the user gets the sentence."""

from __future__ import annotations

from interfaces.config import FineTuneConfig
from interfaces.disk import disk_error, disk_full, free_bytes, problem_of_os_error
from interfaces.errors import FineTuneError
from interfaces.folders import FULL_DISK_BYTES, RunFolder
from interfaces.problems import Code, Problem
from trainer.artifacts.checkpoints import checkpoint_bytes

_NO_SPACE = "No space left on device"
_WROTE_LESS = "unexpected pos"  # torch's words for a disk that took only a part
_FAILED_WRITES = (_NO_SPACE, _WROTE_LESS, "Input/output error", "PytorchStreamWriter failed", "iostream error")


def problem_of(
    error: BaseException, folder: RunFolder, config: FineTuneConfig | None = None, device: str = "cpu"
) -> Problem:
    """Convert `error` to a problem for the user."""
    if isinstance(error, FineTuneError):
        return error.problems[0]
    if isinstance(error, OSError) and (problem := problem_of_os_error(error, folder.path)):
        return problem
    if problem := _failed_write(error, folder):
        return problem
    if config is not None and is_out_of_memory(error):
        return out_of_memory(config, device)
    first_line = str(error).strip().splitlines()[0][:300] if str(error).strip() else ""
    reason = f"{type(error).__name__}: {first_line}"
    return Problem.error(Code.UNEXPECTED, reason=reason, path=str(folder.log))


def _failed_write(error: BaseException, folder: RunFolder) -> Problem | None:
    """Detect a checkpoint that couldn't be written, from the messages of torch and safetensors."""
    text = str(error)
    if not any(words in text for words in _FAILED_WRITES):
        return None
    needed = checkpoint_bytes(folder)
    small = free_bytes(folder.path) < max(needed, FULL_DISK_BYTES)
    if _NO_SPACE in text or _WROTE_LESS in text or (small and "error" not in text.lower()):
        return disk_full(folder.staging, needed)
    return disk_error(folder.staging, text.strip().splitlines()[0][:200])


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether memory ran out: by torch's error, Python's, or the message of the CPU allocator."""
    name = type(error).__name__
    return isinstance(error, MemoryError) or name == "OutOfMemoryError" or "can't allocate memory" in str(error)


def out_of_memory(config: FineTuneConfig, device: str) -> Problem:
    """Return the out-of-memory problem. The studio suggests smaller settings, since it knows the machine's load."""
    params = {"device": device, "batch": config.per_device_train_batch_size, "max_length": config.max_length}
    return Problem(code=Code.OUT_OF_MEMORY, params=params)
