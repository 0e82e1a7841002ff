"""Facts about a model before it is loaded: architecture, location, and size. No torch, and no weights are read.

The lookup order is: the starter, a folder, the Hugging Face cache, the catalog, and, only on request, the Hub, from
which it downloads only the small config.json.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from interfaces.config import STARTER
from interfaces.errors import FineTuneError
from interfaces.files import read_json
from interfaces.folders import Home
from interfaces.model_folder import PICKLED, check_config, check_weights, find_folder, is_path
from interfaces.problems import Code
from interfaces.trainer_jobs import HubModel, HubModelFacts
from studio.models.architecture import Architecture, read_architecture
from studio.models.catalog import BY_ID
from studio.models.known_types import causal_model_types
from studio.processes.trainer_child import HUB_SECONDS, run_trainer, search_models

_WEIGHTS = (".safetensors", *PICKLED)


@dataclass(frozen=True)
class ModelFacts:
    """What is known about a model without its weights."""

    name: str
    shape: Architecture
    path: Path | None
    """The path of its files; None if it must be downloaded."""
    download_bytes: int
    """The size of the download; 0 if the model is here."""


def model_facts(home: Home, name: str, revision: str = "main", online: bool = False) -> ModelFacts:
    """Return the facts about a model by its name in a config.

    Raises:
        FineTuneError: the model is unknown, its folder is missing, or its config.json is incomplete.
    """
    if name == STARTER:
        return ModelFacts(
            name,
            BY_ID[STARTER].shape,
            home.starter if home.has_starter() else None,
            0 if home.has_starter() else 100_000_000,
        )
    if is_path(name):
        folder = find_folder(name)
        shape = _shape_of(folder / "config.json", name)
        if any(file.name.endswith((*_WEIGHTS, ".gguf", ".index.json")) for file in folder.iterdir()):
            check_weights(folder, name)  # a folder with nothing but a config.json can be estimated too
        return ModelFacts(name, shape, folder, 0)
    config = cached_file(name, revision, "config.json")
    if config is not None:
        shape = _shape_of(config, name)
        here = any(config.parent.glob("*.safetensors"))
        return ModelFacts(name, shape, config.parent if here else None, 0 if here else 2 * shape.parameters)
    if name in BY_ID:
        return ModelFacts(name, BY_ID[name].shape, None, BY_ID[name].download_bytes)
    if online:
        found = look_up(name, revision)
        return ModelFacts(name, _shape_of(Path(found.config), name), None, found.download_bytes)
    raise FineTuneError.of(Code.MODEL_NOT_KNOWN, model=name)


def cached_file(name: str, revision: str, file: str) -> Path | None:
    """A file of a model in the Hugging Face cache."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(name, file, revision=revision)
    except HFValidationError:
        return None
    return Path(found) if isinstance(found, str) else None


def look_up(name: str, revision: str = "main") -> HubModelFacts:
    """Look up a model on the Hub and cache its config.json.

    Raises:
        FineTuneError: the model doesn't exist, or the Hub can't be reached.
    """
    arguments = ["look-up", f"--revision={revision}", "--", name]
    return run_trainer(arguments, HubModelFacts, seconds=HUB_SECONDS, subject=name)


def _shape_of(path: Path, name: str) -> Architecture:
    config = read_json(path)
    if config is None and path.exists():
        raise FineTuneError.of(Code.MODEL_UNSUPPORTED, model=name, reason="config_json_unreadable")
    if config is None:
        found = sorted(file.name for file in path.parent.iterdir())[:12] or ["nothing"]
        raise FineTuneError.of(Code.MODEL_INCOMPLETE, path=str(path.parent), missing="config.json", found=found)
    check_config(config, name)
    kind, known = str(config.get("model_type") or ""), causal_model_types()
    if known and kind not in known:
        raise FineTuneError.of(Code.MODEL_UNSUPPORTED, model=name, reason="architecture_unknown", seen=kind[:40])
    return read_architecture(config, name)


class FoundModel(HubModel):
    """A model that the Hub has. `path` is its folder where it is here already."""

    path: str | None


def found_on_hub(text: str) -> list[FoundModel]:
    """Search the Hub, and mark the models that are already downloaded.

    Raises:
        FineTuneError: the Hub can't be reached, or limits the rate.
    """
    return [
        FoundModel(**dict(model), path=_place(cached_file(model.id, "main", "config.json")))
        for model in search_models(text)
    ]


def _place(config: Path | None) -> str | None:
    """Return the folder of a cached model if its weights are cached too."""
    return str(config.parent) if config is not None and any(config.parent.glob("*.safetensors")) else None
