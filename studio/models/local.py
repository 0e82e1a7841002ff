"""The models on this machine: those in the Hugging Face cache and the starter; deleting them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel

from interfaces.config import STARTER
from interfaces.errors import FineTuneError
from interfaces.files import remove
from interfaces.folders import Home
from interfaces.problems import Code
from studio.models.catalog import BY_ID


class LocalModel(BaseModel):
    """A model on this machine that can be trained. `download_bytes` are its weights, `bytes` is what it takes on the disk.

    `used` is when a file of it was last read, in seconds since 1970; None if that isn't known.
    """

    id: str
    path: str
    download_bytes: int
    bytes: int
    license: str = ""
    used: float | None = None


def hub_cache() -> Path:
    """Return the folder in which the Hub's client keeps downloads."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def local_models(home: Home) -> list[LocalModel]:
    """List the models with a config and safetensors, by name; the starter first."""
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    found = []
    try:
        repositories = scan_cache_dir(hub_cache()).repos
    except CacheNotFound:
        repositories = frozenset()
    for repository in repositories:
        files = {file.file_name: file for revision in repository.revisions for file in revision.files}
        weights = [file.size_on_disk for name, file in files.items() if name.endswith(".safetensors")]
        if repository.repo_type == "model" and weights and "config.json" in files:
            known = BY_ID.get(repository.repo_id)
            found.append(
                LocalModel(
                    id=repository.repo_id, path=str(repository.repo_path), download_bytes=sum(weights),
                    bytes=repository.size_on_disk, used=repository.last_accessed,
                    license=known.license if known else _license(files["README.md"].file_path) if "README.md" in files else "",
                )
            )  # fmt: skip
    found.sort(key=lambda model: model.id)
    return [*_starter(home), *found]


def _starter(home: Home) -> list[LocalModel]:
    if not home.has_starter():
        return []
    files = [path for path in home.starter.iterdir() if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    weights = sum(path.stat().st_size for path in files if path.suffix == ".safetensors")
    return [
        LocalModel(
            id=STARTER, path=str(home.starter), download_bytes=weights, bytes=size, license=BY_ID[STARTER].license,
            used=max(path.stat().st_atime for path in files),
        )
    ]  # fmt: skip


def _license(card: Path) -> str:
    """Return the license that a model card's front matter states, or nothing."""
    try:
        lines = card.read_text(encoding="utf-8", errors="replace").splitlines()[:60]
    except OSError:
        return ""
    stated = next((line.partition(":")[2] for line in lines if line.startswith("license:")), "")
    return stated.strip().strip("'\"")[:60]


def delete_model(home: Home, model: str) -> int:
    """Delete a model from this machine for good, and return the bytes that frees.

    Raises:
        FineTuneError: there is no such model.
    """
    from huggingface_hub import scan_cache_dir

    here = next((one for one in local_models(home) if one.id == model), None)
    if here is None:
        raise FineTuneError.of(Code.MODEL_NOT_KNOWN, model=model[:200])
    if model == STARTER:
        remove(home.starter)
        return here.bytes
    cache = scan_cache_dir(hub_cache())
    repositories = frozenset(one for one in cache.repos if one.repo_id == model and one.repo_type == "model")
    # Only this repository: a copy under another name has the same commits, by which revisions are deleted.
    strategy = replace(cache, repos=repositories).delete_revisions(
        *(revision.commit_hash for one in repositories for revision in one.revisions)
    )
    strategy.execute()
    return strategy.expected_freed_size
