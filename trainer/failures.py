"""Foreign errors become Problems here, and only here. The log has the traceback; a person gets the sentence."""

from __future__ import annotations

from typing import Any

from interfaces.config import FineTuneConfig
from interfaces.disk import disk_full, problem_of_os_error
from interfaces.folders import RunFolder
from interfaces.problems import Code, FineTuneError, Problem


def problem_of(
    error: BaseException, folder: RunFolder, config: FineTuneConfig | None = None, device: str = "cpu"
) -> Problem:
    """What `error` means to the person who started the run."""
    if isinstance(error, FineTuneError):
        return error.problems[0]
    if isinstance(error, OSError) and (problem := problem_of_os_error(error, folder.path)):
        return problem
    if config is not None and is_out_of_memory(error):
        return out_of_memory(config, device)
    # torch reports a full disk in its own words: it could write less than it wanted to.
    if isinstance(error, RuntimeError) and "unexpected pos" in str(error):
        return disk_full(folder.path)
    first_line = str(error).strip().splitlines()[0][:300] if str(error).strip() else ""
    reason = f"{type(error).__name__}: {first_line}"
    return Problem.error(Code.UNEXPECTED, reason=reason, path=str(folder.log))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out: torch's own error, Python's, or the CPU allocator's text."""
    name = type(error).__name__
    return isinstance(error, MemoryError) or name == "OutOfMemoryError" or "can't allocate memory" in str(error)


def out_of_memory(config: FineTuneConfig, device: str) -> Problem:
    """Out of memory, with the gentlest smaller setting; the effective batch stays the same where it can."""
    batch, accumulation = config.per_device_train_batch_size, config.gradient_accumulation_steps
    change: dict[str, Any]
    if batch > 1:
        change = {"per_device_train_batch_size": batch // 2, "gradient_accumulation_steps": accumulation * 2}
    elif not config.gradient_checkpointing:
        change = {"gradient_checkpointing": True}
    elif not config.load_in_4bit:
        change = {"load_in_8bit": False, "load_in_4bit": True}
    else:
        change = {"max_length": max(config.max_length // 2, 16)}
    params = {"device": device, "batch": batch, "max_length": config.max_length}
    return Problem(code=Code.OUT_OF_MEMORY, params=params, change=change)
