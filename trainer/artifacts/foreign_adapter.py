"""Takes an adapter that was trained elsewhere, from a folder or a zip file of PEFT, Unsloth, LLaMA-Factory, and others.

Nothing of it is trusted: two files are taken, under our own names, and the settings are written again with those that
are known and agree with the weights. So no path in an archive, no pickle, no regular expression, and no setting that
loads code comes along.
"""

from __future__ import annotations

import json
import lzma
import re
import shutil
import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError

from interfaces.config import STARTER
from interfaces.disk import require_space
from interfaces.errors import FineTuneError
from interfaces.files import publish, write_text
from interfaces.folders import FULL_DISK_BYTES, Home
from interfaces.model_folder import find_folder, is_path
from interfaces.problems import Code, Problem
from interfaces.trainer_jobs import ForeignAdapter, JobProgress, OnProgress
from trainer.artifacts.stored_weights import ADAPTER_CONFIG as CONFIG
from trainer.artifacts.stored_weights import ADAPTER_WEIGHTS as WEIGHTS
from trainer.artifacts.stored_weights import CHANGE_THE_BASE, UNSUPPORTED, StoredTensor, base_reference, tensors_in
from trainer.models.model_files import folder_files
from trainer.models.starter import PORTABLE_NAME

MOST_CONFIG_BYTES = 1_000_000
MOST_TIMES_PACKED = 10
"""Weights hardly compress: a file that is unpacked to more than this multiple is made to fill the disk."""
MOST_RANK = 1024
_CHUNK = 1 << 20
_NAME = re.compile(r"[\w.]{1,300}")
_FACTORS = {"lora_A": "lora_B", "lora_embedding_A": "lora_embedding_B"}
_TENSOR = re.compile(r"base_model\.model\.(?P<module>[\w.]+?)\.(?P<part>lora_A|lora_B|lora_embedding_A|lora_embedding_B|lora_magnitude_vector)(\.weight)?")  # fmt: skip
_HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w.-]+")
_QUANTIZED_COPY = re.compile(r"(-unsloth)?-bnb-4bit$")
"""Unsloth's copies of models, whose names are the originals' with this at the end."""
_DROPPED = {
    "auto_mapping", "corda_config", "ensure_weight_tying", "eva_config", "exclude_modules", "inference_mode", "layers_pattern",
    "layers_to_transform", "loftq_config", "lora_dropout", "lora_ga_config", "megatron_config", "megatron_core", "peft_version",
    "qalora_group_size", "revision", "task_type",
}  # fmt: skip
"""PEFT's other settings. They matter only in training, or choose layers, which the weights name too."""


class _Settings(BaseModel):
    """adapter_config.json, as far as it is kept. Layers and ranks are those of the weights."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False)

    peft_type: str
    base_model_name_or_path: str | None = None
    r: int = 8
    rank_pattern: dict[str, int] | None = None
    target_modules: str | list[str] | None = None
    lora_alpha: float = Field(default=8, gt=0, le=4096)
    alpha_pattern: dict[str, float] | None = None
    modules_to_save: list[str] | None = None
    bias: Literal["none", "all", "lora_only"] = "none"
    fan_in_fan_out: bool = False
    use_rslora: bool = False
    use_dora: bool = False
    init_lora_weights: bool | str | None = True


_KEPT = {
    "peft_type",
    "lora_alpha",
    "alpha_pattern",
    "modules_to_save",
    "bias",
    "fan_in_fan_out",
    "use_rslora",
    "use_dora",
}


def take_adapter(path: Path, target: Path, model: str, home: Home, tell: OnProgress) -> ForeignAdapter:
    """Copy an adapter into the folder `target`. `model` is its base model; if empty, the one that it names.

    Raises:
        FineTuneError: it isn't a LoRA adapter, is damaged, or could do harm, or its base model isn't known.
    """
    if not path.exists():
        raise FineTuneError.of(Code.FILE_MISSING, path=str(path))
    staging = target.with_name(f".{target.name}.tmp")
    staging.mkdir(parents=True)
    try:
        with _opened(path) as source:
            settings, warnings = _settings_in(source)
            base = _base_of(model or settings.base_model_name_or_path or "", warnings)
            source.copy(WEIGHTS, staging / WEIGHTS, tell)
            ranks = _ranks_in(source.label, staging / WEIGHTS, settings, _base_tensors(base, home), base)
        rank = Counter(ranks.values()).most_common(1)[0][0]
        kept = settings.model_dump(include=_KEPT, exclude_none=True)
        written = {
            **kept, "task_type": "CAUSAL_LM", "base_model_name_or_path": _portable(base), "inference_mode": True, "r": rank,
            "rank_pattern": {name: one for name, one in ranks.items() if one != rank}, "target_modules": sorted(ranks),
        }  # fmt: skip
        write_text(staging / CONFIG, json.dumps(written, indent=2) + "\n")
        publish(staging, target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return ForeignAdapter(
        base=base, r=rank, lora_alpha=settings.lora_alpha, use_rslora=settings.use_rslora, use_dora=settings.use_dora,
        target_modules=sorted({name.rpartition(".")[2] for name in ranks}), warnings=warnings,
    )  # fmt: skip


@dataclass(frozen=True)
class _Source:
    """The files of an adapter by their names. `open` reads one, `packed` is its size in an archive."""

    label: str
    sizes: dict[str, int]
    packed: dict[str, int]
    open: Callable[[str], IO[bytes]]

    def copy(self, name: str, target: Path, tell: OnProgress) -> None:
        """Copy a file, of which no more is read than it is said to have."""
        total, done = self.sizes[name], 0
        if total > MOST_TIMES_PACKED * max(self.packed.get(name, total), 1):
            raise refused(self.label, "unpacks_too_large", name)
        require_space(target.parent, total + FULL_DISK_BYTES)
        with self.open(name) as file, target.open("wb") as copy:
            while chunk := file.read(min(_CHUNK, total - done)):
                copy.write(chunk)
                done += len(chunk)
                tell(JobProgress(progress=(done, total)))


@contextmanager
def _opened(path: Path) -> Iterator[_Source]:
    if path.is_dir():
        sizes = {one.name: one.stat().st_size for one in path.iterdir() if one.is_file()}
        yield _checked(_Source(path.name, sizes, {}, lambda name: (path / name).open("rb")))
        return
    try:
        with zipfile.ZipFile(path) as archive:
            yield _of_archive(archive, path.name)
    except NotImplementedError as error:
        raise refused(path.name, "zip_method") from error
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError) as error:
        raise refused(path.name, "no_zip") from error


def _of_archive(archive: zipfile.ZipFile, label: str) -> _Source:
    """Return the files beside the only adapter_config.json that lies highest in an archive."""
    members = {PurePosixPath(one.filename.replace("\\", "/")): one for one in archive.infolist() if not one.is_dir()}
    found = sorted((len(path.parts), path.parent) for path in members if path.name == CONFIG)
    if len(found) > 1 and found[0][0] == found[1][0]:
        raise refused(label, "several_adapters", ", ".join(str(place) for _, place in found[:3]))
    place = found[0][1] if found else PurePosixPath(".")
    beside = {path.name: one for path, one in members.items() if path.parent == place}
    for name in (CONFIG, WEIGHTS):
        if name in beside and stat.S_ISLNK(beside[name].external_attr >> 16):
            raise refused(label, "is_a_link", name)
        if name in beside and beside[name].flag_bits & 1:
            raise refused(label, "encrypted", name)
    sizes = {name: one.file_size for name, one in beside.items()}
    packed = {name: one.compress_size for name, one in beside.items()}
    return _checked(_Source(label, sizes, packed, lambda name: archive.open(beside[name])))


def _checked(source: _Source) -> _Source:
    if CONFIG not in source.sizes:
        raise refused(source.label, "file_not_there", CONFIG)
    if WEIGHTS not in source.sizes and "adapter_model.bin" in source.sizes:
        raise refused(source.label, "is_pickle", "adapter_model.bin")
    if WEIGHTS not in source.sizes:
        raise refused(source.label, "file_not_there", WEIGHTS)
    return source


def _settings_in(source: _Source) -> tuple[_Settings, list[Problem]]:
    """Return the settings, and a warning about those that PEFT doesn't know."""
    with source.open(CONFIG) as file:
        text = file.read(MOST_CONFIG_BYTES + 1)
    if len(text) > MOST_CONFIG_BYTES:
        raise refused(source.label, "file_damaged", CONFIG)
    try:
        settings = _Settings.model_validate(json.loads(text))
    except ValidationError as error:
        field = ".".join(map(str, error.errors()[0]["loc"]))
        raise refused(source.label, "setting_odd" if field else "file_damaged", field[:80] or CONFIG) from error
    except (ValueError, RecursionError) as error:
        raise refused(source.label, "file_damaged", CONFIG) from error
    if settings.peft_type != "LORA":
        raise refused(source.label, "no_lora", settings.peft_type[:40])
    extra: dict[str, Any] = settings.model_extra or {}
    if changed := [name for name in UNSUPPORTED if extra.get(name)]:
        raise refused(source.label, "setting_unsupported", changed[0])
    if str(settings.init_lora_weights).lower().startswith(CHANGE_THE_BASE):
        raise refused(source.label, "changes_base", str(settings.init_lora_weights)[:40])
    for key, alpha in (settings.alpha_pattern or {}).items():
        if not _NAME.fullmatch(key):
            raise refused(source.label, "setting_holds_regex", f"alpha_pattern ({key[:40]})")
        if not 0 < alpha <= 4096:
            raise refused(source.label, "setting_odd", "alpha_pattern")
    unknown = sorted(name for name in extra if extra[name] and name not in _DROPPED)
    found = ", ".join(name[:40] for name in unknown[:10])
    return settings, [Problem.warning(Code.ADAPTER_SETTINGS_LEFT_OUT, value=found)] if found else []


def _base_of(named: str, warnings: list[Problem]) -> str:
    """Return the base model as a run names it. For a quantized copy, that is the original, with a warning."""
    if not named:
        raise FineTuneError.of(Code.ADAPTER_BASE_MISSING)
    if named in (PORTABLE_NAME, STARTER):
        return STARTER
    if _HUB_NAME.fullmatch(named):
        base = _QUANTIZED_COPY.sub("", named)
        if base != named:
            warnings.append(Problem.warning(Code.ADAPTER_BASE_QUANTIZED, value=named, base=base))
        return base
    folder = Path(named).expanduser()
    if folder.is_absolute() and (folder / "config.json").is_file():
        return named
    raise FineTuneError.of(Code.ADAPTER_BASE_UNKNOWN, value=named[:200])


def _portable(base: str) -> str:
    """Return what the adapter calls its base model: no path leaves with an export."""
    if base == STARTER:
        return PORTABLE_NAME
    return base_reference(folder_files(find_folder(base)).portable_name) if is_path(base) else base


def _base_tensors(base: str, home: Home) -> dict[str, StoredTensor] | None:
    """Return the tensors of a base model in a folder; None for one of the Hub, and for a starter that isn't here."""
    if base == STARTER and home.has_starter():
        return tensors_in(*home.starter.glob("*.safetensors"))
    return tensors_in(*find_folder(base).glob("*.safetensors")) if is_path(base) else None


def _ranks_in(
    label: str, path: Path, settings: _Settings, known: dict[str, StoredTensor] | None, base: str
) -> dict[str, int]:  # fmt: skip
    """Return the rank of each layer that has LoRA weights, after comparing their sizes with the base's, if it is `known`.

    Raises:
        FineTuneError: the file is damaged, or holds other weights, or doesn't fit the base.
    """
    try:
        tensors = tensors_in(path)
    except (SafetensorError, OSError) as error:
        raise refused(label, "file_damaged", WEIGHTS) from error
    parts: dict[str, dict[str, StoredTensor]] = {}
    saved = {name.rpartition(".")[2] for name in settings.modules_to_save or ()}
    for name, tensor in tensors.items():
        found = _TENSOR.fullmatch(name)
        if found is not None:
            parts.setdefault(found["module"], {})[found["part"]] = tensor
        elif not saved & {*name.split(".")[-2:-1]} and (settings.bias == "none" or not name.endswith(".bias")):
            raise refused(label, "holds_whole_layers", name[:120])
    ranks = {module: _rank_of(label, module, found, known, base) for module, found in parts.items()}
    if not ranks:
        raise refused(label, "file_damaged", WEIGHTS)
    return ranks


def _rank_of(
    label: str, module: str, parts: dict[str, StoredTensor], known: dict[str, StoredTensor] | None, base: str
) -> int:
    pair = next(((parts[one], parts[other]) for one, other in _FACTORS.items() if {one, other} <= parts.keys()), None)
    if pair is None or any(len(one.shape) != 2 for one in pair) or pair[0].shape[0] != pair[1].shape[1]:
        raise refused(label, "file_damaged", module[:120])
    rank = pair[0].shape[0]
    if not 1 <= rank <= MOST_RANK:
        raise refused(label, "setting_odd", f"r ({rank})")
    if known is not None:
        name = f"{module}.weight"
        stored = known.get(name) or known.get(name.partition(".")[2])  # some leave out the first part of a name
        if stored is None or sorted(stored.shape) != sorted((pair[0].shape[1], pair[1].shape[0])):
            raise refused(label, "other_base", base)
    return rank


def refused(value: str, reason: str, seen: str = "") -> FineTuneError:
    return FineTuneError.of(Code.ADAPTER_REFUSED, value=value, reason=reason, seen=seen)
