"""Puts a folder's files into a repository of the Hub. The token is huggingface_hub's own, and goes only into a header."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import huggingface_hub
from huggingface_hub import CommitOperationAdd, HfApi, constants, errors

from interfaces.errors import FineTuneError
from interfaces.problems import Code
from trainer.models.hub import connection_problem, response_of

Tell = Callable[[int, int], None]
"""Called with the bytes that have arrived and their total."""


def open_repository(repository: str, public: bool) -> None:
    """Create a repository, or check that the existing one may be pushed to.

    Raises:
        FineTuneError: there is no token, the Hub refuses it or is out of reach, or the repository is public.
    """
    if huggingface_hub.get_token() is None:
        raise _refused(repository, "no_token")
    api = HfApi()
    try:
        api.create_repo(repository, private=not public, exist_ok=True)
        if not public and not api.repo_info(repository).private:
            raise _refused(repository, "is_public")
        # Asks how a file is to be sent, which needs the same right as to send it.
        api.preupload_lfs_files(repository, [CommitOperationAdd("README.md", b"-")])
    except FineTuneError:
        raise
    except Exception as error:
        raise _problem(error, repository) from error


def push(files: Sequence[tuple[str, Path | bytes]], repository: str, message: str, tell: Tell) -> str:
    """Upload files under their names, and return the address of the commit. What has arrived isn't sent again.

    Raises:
        FineTuneError: the Hub refuses the token or a file, or is out of reach.
    """
    api, done = HfApi(), 0
    added = [CommitOperationAdd(name, content) for name, content in sorted(files, key=lambda file: _size(file[1]))]
    total = sum(_size(content) for _, content in files)
    try:
        for one in added:
            api.preupload_lfs_files(repository, [one], free_memory=False)
            done += one.upload_info.size
            tell(done, total)
        return str(api.create_commit(repository, added, commit_message=message).repo_url)
    except Exception as error:
        raise _problem(error, repository) from error


def _size(content: Path | bytes) -> int:
    return len(content) if isinstance(content, bytes) else content.stat().st_size


def _problem(error: Exception, repository: str) -> FineTuneError:
    if isinstance(error, errors.HFValidationError):
        return _refused(repository, "no_repository_name")
    status = getattr(response_of(error), "status_code", None)
    if status in (401, 403):
        return _refused(repository, "token_refused", f"HTTP {status}")
    if status is not None:
        return _refused(repository, "http_status", str(status))
    reason = connection_problem(error)
    return _refused(repository, reason) if reason else _refused(repository, f"{type(error).__name__}: {error}"[:200])


def _refused(repository: str, reason: str, seen: str = "") -> FineTuneError:
    endpoint = re.sub(r"//[^/@]*@", "//", constants.ENDPOINT)
    return FineTuneError.of(Code.PUSH_FAILED, value=repository, reason=reason, seen=seen, endpoint=endpoint)
