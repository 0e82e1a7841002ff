"""What is known of a model before it is loaded: its shape, where it lies, how large it is. No torch, and no weights read.

Looked for in this order: the starter, a folder, the Hugging Face cache, the catalog, and only where it was asked for
the Hub, of which nothing but the small config.json is fetched.
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
    """A model as far as it is known without its weights."""

    name: str
    shape: Architecture
    path: Path | None
    """Where its files lie, None when it would be downloaded."""
    download_bytes: int
    """What a download would bring; 0 when it is here."""


def model_facts(home: Home, name: str, revision: str = "main", online: bool = False) -> ModelFacts:
    """The facts of a model by the name that a config gives it.

    Raises:
        FineTuneError: nothing is known of it, its folder is missing, or its config.json says too little.
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
    """What the Hub says of a model; its config.json is in the cache afterwards.

    Raises:
        FineTuneError: it isn't there, or the Hub can't be reached.
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
    """What the Hub has, and whether it is here already.

    Raises:
        FineTuneError: the Hub is out of reach, or asks to wait.
    """
    return [
        FoundModel(**dict(model), path=_place(cached_file(model.id, "main", "config.json")))
        for model in search_models(text)
    ]


def _place(config: Path | None) -> str | None:
    """The folder of a cached model, where its weights are there too."""
    return str(config.parent) if config is not None and any(config.parent.glob("*.safetensors")) else None
