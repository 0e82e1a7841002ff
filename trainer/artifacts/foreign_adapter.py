"""Takes an adapter that was trained elsewhere, from a folder or a zip file of PEFT, Unsloth, LLaMA-Factory, and others.

Nothing of it is trusted: two files are taken, under our own names, and the settings are written again with those that
are known. So no path in an archive, no pickle, no regular expression, and no setting that loads code comes along.
"""

from __future__ import annotations

import json
import re
import shutil
import stat
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path, PurePosixPath
from typing import IO, Any

from peft import LoraConfig
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open

from interfaces.config import STARTER
from interfaces.disk import require_space
from interfaces.errors import FineTuneError
from interfaces.files import publish, write_text
from interfaces.folders import FULL_DISK_BYTES
from interfaces.model_folder import find_folder, is_path
from interfaces.problems import Code, Problem
from interfaces.trainer_jobs import ForeignAdapter, JobProgress, OnProgress
from trainer.artifacts.adapter import base_reference
from trainer.artifacts.merged_model import CHANGE_THE_BASE, UNSUPPORTED, tensors_of
from trainer.models.starter import PORTABLE_NAME

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
MOST_CONFIG_BYTES = 1_000_000
MOST_TIMES_PACKED = 200
"""Weights hardly compress: a file that is unpacked to more than this multiple is made to fill the disk."""
_CHUNK = 1 << 20
_MODULE = re.compile(r"[\w.]{1,300}")
_TENSOR = re.compile(r"base_model\.model\.(?P<module>[\w.]+?)\.(?P<part>lora_A|lora_B|lora_embedding_A|lora_embedding_B|lora_magnitude_vector)(\.weight)?")  # fmt: skip
_HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w.-]+")
_QUANTIZED_COPY = re.compile(r"(-unsloth)?-bnb-4bit$")
"""Unsloth's copies of models, whose names are the originals' with this at the end."""


class _Settings(BaseModel):
    """adapter_config.json, as far as it is kept. Lists of layers are checked against the weights."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False)

    peft_type: str
    base_model_name_or_path: str | None = None
    r: int = Field(default=8, ge=1, le=1024)
    lora_alpha: float = Field(default=8, gt=0, le=65536)
    target_modules: str | list[str] | None = None
    modules_to_save: list[str] | None = None
    rank_pattern: dict[str, int] = {}
    alpha_pattern: dict[str, float] = {}
    bias: str = Field(default="none", pattern="none|all|lora_only")
    fan_in_fan_out: bool = False
    use_rslora: bool = False
    use_dora: bool = False
    init_lora_weights: bool | str | None = True


_DROPPED = ("base_model_name_or_path", "target_modules", "init_lora_weights")
_HARMLESS = {field.name for field in fields(LoraConfig)} - set(UNSUPPORTED) | {
    "auto_mapping",
    "peft_version",
    "eva_config",
}
"""Other settings of PEFT: they matter only while training begins, or name layers that the weights name too."""


def take_adapter(path: Path, target: Path, model: str, tell: OnProgress) -> ForeignAdapter:
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
            named = settings.base_model_name_or_path or ""
            base = model or _base_of(named)
            source.copy(WEIGHTS, staging / WEIGHTS, tell)
        modules = _modules_in(staging / WEIGHTS, settings)
        if is_path(base):
            _check_shapes(staging / WEIGHTS, find_folder(base), base)
        kept = settings.model_dump(exclude={*_DROPPED, *(settings.model_extra or {})}, exclude_none=True)
        targets = settings.target_modules
        plain = isinstance(targets, list) and targets and all(_MODULE.fullmatch(name) for name in targets)
        chosen = list(targets) if plain and not _chooses_layers(settings) else modules  # type: ignore[arg-type]
        portable = base_reference(Path(base).name) if is_path(base) else base  # no path leaves with an export
        written = {
            **kept, "task_type": "CAUSAL_LM", "base_model_name_or_path": portable, "target_modules": chosen, "inference_mode": True,
        }  # fmt: skip
        write_text(staging / CONFIG, json.dumps(written, indent=2) + "\n")
        publish(staging, target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    quantized = not model and _QUANTIZED_COPY.search(named)
    return ForeignAdapter(
        base=base, r=settings.r, lora_alpha=settings.lora_alpha, use_rslora=settings.use_rslora,
        use_dora=settings.use_dora, target_modules=sorted({name.rpartition(".")[2] for name in modules}),
        warnings=[*warnings, *([Problem.warning(Code.ADAPTER_BASE_QUANTIZED, value=named, base=base)] if quantized else [])],
    )  # fmt: skip


def _chooses_layers(settings: _Settings) -> bool:
    """Return whether more than `target_modules` chooses the layers."""
    extra = settings.model_extra or {}
    return any(extra.get(name) for name in ("layers_to_transform", "layers_pattern", "exclude_modules"))


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
    except (zipfile.BadZipFile, NotImplementedError, EOFError, RuntimeError) as error:
        raise refused(path.name, "no_zip") from error


def _of_archive(archive: zipfile.ZipFile, label: str) -> _Source:
    """Return the files beside the only adapter_config.json that lies highest in an archive."""
    members = [one for one in archive.infolist() if not one.is_dir()]
    found = sorted(
        (len(PurePosixPath(one.filename).parts), str(PurePosixPath(one.filename).parent))
        for one in members
        if PurePosixPath(one.filename).name == CONFIG
    )
    if len(found) > 1 and found[0][0] == found[1][0]:
        raise refused(label, "several_adapters", ", ".join(place for _, place in found[:3]))
    place = found[0][1] if found else "."
    beside = {
        PurePosixPath(one.filename).name: one for one in members if str(PurePosixPath(one.filename).parent) == place
    }
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
        field = ".".join(map(str, error.errors()[0]["loc"])) or CONFIG
        raise refused(source.label, "setting_odd", field[:80]) from error
    except (ValueError, RecursionError) as error:
        raise refused(source.label, "file_damaged", CONFIG) from error
    if settings.peft_type != "LORA":
        raise refused(source.label, "no_lora", settings.peft_type[:40])
    extra: dict[str, Any] = settings.model_extra or {}
    if changed := [name for name in UNSUPPORTED if extra.get(name)]:
        raise refused(source.label, "setting_unsupported", changed[0])
    if str(settings.init_lora_weights).lower().startswith(CHANGE_THE_BASE):
        raise refused(source.label, "changes_base", str(settings.init_lora_weights)[:40])
    for name in ("rank_pattern", "alpha_pattern"):
        if odd := [key for key in getattr(settings, name) if not _MODULE.fullmatch(key)]:
            raise refused(source.label, "setting_holds_regex", f"{name} ({odd[0][:40]})")
    unknown = sorted(name for name in extra if name not in _HARMLESS and extra[name])
    found = ", ".join(name[:40] for name in unknown[:10])
    return settings, [Problem.warning(Code.ADAPTER_SETTINGS_LEFT_OUT, value=found)] if found else []


def _base_of(named: str) -> str:
    """Return the base model as a run names it: the original of a quantized copy."""
    if named == PORTABLE_NAME:
        return STARTER
    if _HUB_NAME.fullmatch(named):
        return _QUANTIZED_COPY.sub("", named)
    folder = Path(named).expanduser()
    if named and folder.is_absolute() and (folder / "config.json").is_file():
        return named
    raise FineTuneError.of(Code.ADAPTER_BASE_UNKNOWN, value=named[:200])


def _modules_in(path: Path, settings: _Settings) -> list[str]:
    """Return the layers that have LoRA weights, in order."""
    modules: set[str] = set()
    saved = tuple(settings.modules_to_save or ())
    try:
        with safe_open(path, "pt") as file:
            for key in file.keys():  # noqa: SIM118  no mapping
                found = _TENSOR.fullmatch(key)
                if found is not None:
                    modules.add(found["module"])
                elif not any(f".{name}." in key for name in saved) and not (
                    settings.bias != "none" and key.endswith(".bias")
                ):
                    raise refused(path.name, "holds_whole_layers", key[:120])
    except (SafetensorError, OSError) as error:
        raise refused(path.name, "file_damaged", WEIGHTS) from error
    if not modules:
        raise refused(path.name, "file_damaged", WEIGHTS)
    return sorted(modules)


def _check_shapes(path: Path, folder: Path, base: str) -> None:
    """Compare the layers with those of a base model in a folder."""
    known = tensors_of(folder)
    with safe_open(path, "pt") as file:
        for key in file.keys():  # noqa: SIM118  no mapping
            found = _TENSOR.fullmatch(key)
            if found is None or found["part"] != "lora_A":
                continue
            stored = known.get(f"{found['module']}.weight") or known.get(f"{found['module']}.weight".partition(".")[2])
            inputs = file.get_slice(key).get_shape()[-1]
            if stored is None or inputs not in stored.shape:
                raise refused(path.name, "other_base", base)


def refused(value: str, reason: str, seen: str = "") -> FineTuneError:
    return FineTuneError.of(Code.ADAPTER_REFUSED, value=value, reason=reason, seen=seen)
