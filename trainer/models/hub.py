"""Downloads a Hub id to a folder in the standard Hugging Face cache.

`HF_ENDPOINT`, `HF_HOME`, `HF_TOKEN`, and `HF_HUB_OFFLINE` belong to huggingface_hub, and only it reads them.
"""

from __future__ import annotations

import hashlib
import re
import threading
from pathlib import Path
from typing import Any

import huggingface_hub
from huggingface_hub import constants, errors
from tqdm.auto import tqdm

from interfaces.disk import require_space
from interfaces.errors import FineTuneError
from interfaces.problems import Code
from trainer.models.starter import Progress

WANTED = ["*.json", "*.safetensors", "*.jinja", "*.txt", "*.model", "LICENSE*", "README.md"]
SHA256 = re.compile(r"[0-9a-f]{64}")
IGNORED = ["original/*", "onnx/*", "*/*.safetensors"]
"""Other copies of the same weights in subfolders."""


def download_model(model: str, revision: str, progress: Progress) -> tuple[Path, str]:
    """Return the folder and commit of a snapshot; only from the cache if the Hub can't be reached.

    Raises:
        FineTuneError: the model doesn't exist, access is denied, the Hub can't be reached, or there are no safetensors.
    """
    known = _weights_here(model)
    path = _snapshot(model, revision, progress, WANTED)
    _verify(path, known)
    if not (path / "config.json").is_file():
        raise FineTuneError.of(Code.MODEL_UNSUPPORTED, model=model, reason="no_config_json")
    if not any(path.glob("*.safetensors")):
        raise FineTuneError.of(Code.MODEL_UNSAFE, model=model, reason="no_safetensors")
    return path, path.name


def _weights_here(model: str) -> set[Path]:
    """Return the cached blobs of a model, which were verified when they were downloaded."""
    blobs = Path(constants.HF_HUB_CACHE) / f"models--{model.replace('/', '--')}" / "blobs"
    return {path for path in blobs.glob("*") if path.suffix != ".incomplete"}


def _verify(snapshot: Path, known: set[Path]) -> None:
    """Check that new weights match the Hub's sha256, which is the cache's name of a large file.

    Raises:
        FineTuneError: a file is damaged. It is removed, so that the next download fetches it again.
    """
    for link in sorted(snapshot.glob("*.safetensors")):
        blob = link.resolve()
        if blob in known or not SHA256.fullmatch(blob.name):
            continue
        with blob.open("rb") as file:
            seen = hashlib.file_digest(file, "sha256").hexdigest()
        if seen != blob.name:
            link.unlink()
            blob.unlink()
            raise FineTuneError.of(Code.CHECKSUM_MISMATCH, path=link.name, seen=seen, expected=blob.name)


def download_tokenizer(model: str, revision: str, progress: Progress) -> Path:
    """Return the folder of a model's snapshot with the tokenizer, but without weights: a few megabytes.

    Raises:
        FineTuneError: the model doesn't exist, access is denied, or the Hub can't be reached.
    """
    return _snapshot(model, revision, progress, [pattern for pattern in WANTED if pattern != "*.safetensors"])


def _snapshot(model: str, revision: str, progress: Progress, wanted: list[str]) -> Path:
    try:
        return Path(
            huggingface_hub.snapshot_download(
                model, revision=revision, allow_patterns=wanted, ignore_patterns=IGNORED, tqdm_class=_bar(progress)
            )
        )
    except Exception as error:
        known = hub_problem(error, model, revision)
        if known is None:
            raise
        raise known from error


def _bar(progress: Progress) -> type[tqdm[Any]]:
    """Return an invisible progress bar that calls `progress` and rejects downloads that don't fit on the disk.

    The Hub client creates one for bytes and one for files.
    """

    counting = threading.Lock()  # several files download in parallel

    class Bar(tqdm):  # type: ignore[type-arg]  # at runtime it takes none
        def __init__(self, *arguments: Any, **options: Any) -> None:
            options.pop("name", None)
            # Of the two bars that count bytes, the second counts written bytes, including cached ones.
            self._counts_bytes = options.get("unit") == "B" and "Downloading" not in options.get("desc", "")
            super().__init__(*arguments, **{**options, "disable": True})
            self.n = options.get("initial", 0)

        def refresh(self, *arguments: Any, **options: Any) -> None:
            """Handle the size of another file, before its first byte."""
            if self._counts_bytes and self.total:
                require_space(Path(constants.HF_HUB_CACHE), int(self.total - self.n))

        def update(self, n: float | None = 1) -> bool | None:
            with counting:
                self.n += n or 0
            if self._counts_bytes and self.total:
                progress(int(self.n), int(self.total))
            return None

    return Bar


def hub_problem(error: Exception, model: str, revision: str) -> FineTuneError | None:
    """Convert an error of the Hub client to ours. Return None for any other error."""
    where = {"model": model, "revision": revision, "endpoint": re.sub(r"//[^/@]*@", "//", constants.ENDPOINT)}
    response = response_of(error)
    status = getattr(response, "status_code", None)
    if isinstance(error, errors.GatedRepoError) or status == 403:
        return FineTuneError.of(Code.MODEL_GATED, **where)
    if isinstance(error, errors.HFValidationError):
        return FineTuneError.of(Code.MODEL_NOT_FOUND, **where)
    # Without a token, the Hub returns 401 for a model that doesn't exist.
    if status == 401 and huggingface_hub.get_token():
        return FineTuneError.of(Code.MODEL_UNAUTHORIZED, **where)
    if isinstance(error, errors.RepositoryNotFoundError | errors.RevisionNotFoundError) or status in (401, 404):
        return FineTuneError.of(Code.MODEL_NOT_FOUND, **where)
    if status == 429:
        wait = str(response.headers.get("retry-after", "60"))
        return FineTuneError.of(Code.HUB_BUSY, seconds=wait, **where)
    if status is not None:
        return FineTuneError.of(Code.MODEL_UNREACHABLE, reason="http_status", seen=status, **where)
    reason = connection_problem(error)
    return FineTuneError.of(Code.MODEL_UNREACHABLE, reason=reason, **where) if reason else None


def connection_problem(error: Exception) -> str:
    """Return why the Hub can't be reached, if that is what an error of its client says."""
    no_network = (
        errors.LocalEntryNotFoundError,
        errors.OfflineModeIsEnabled,
        errors.RevisionResolutionError,
        ConnectionError,
    )
    clients = ("httpx", "httpx2", "httpcore", "httpcore2")
    if not isinstance(error, no_network) and type(error).__module__.split(".")[0] not in clients:
        return ""
    return "offline_mode" if constants.HF_HUB_OFFLINE else _first_line(error)


def response_of(error: BaseException | None) -> Any:
    """Return the Hub's response from an error, even if the client has wrapped it several times."""
    while error is not None:
        if getattr(error, "response", None) is not None:
            return error.response  # type: ignore[attr-defined]
        error = error.__cause__ or error.__context__
    return None


def _first_line(error: BaseException) -> str:
    """Return the first line of the innermost cause: 'Connection refused' rather than 'cache lookup failed'."""
    while error.__cause__ is not None or error.__context__ is not None:
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
