"""Executes one export in its folder: writes the files under a temporary name, publishes them, and proves them."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from interfaces.config import FineTuneConfig, method_of
from interfaces.disk import require_space
from interfaces.errors import FineTuneError
from interfaces.events import Started
from interfaces.exports import ExportRecord, ExportRequest
from interfaces.files import publish, remove, sha256_of, write_text
from interfaces.folders import FULL_DISK_BYTES
from interfaces.job_folders import ExportFolder
from interfaces.problems import Code, Problem
from interfaces.run_records import is_whole_model
from trainer.artifacts.export import CARD
from trainer.training.event_log import EventLog
from trainer.training.job import ResultJob, execute

if TYPE_CHECKING:
    from trainer.artifacts.merged_model import MergedModel
    from trainer.models.model_files import ModelFiles
    from trainer.tokens.template import ChatTemplate

log = logging.getLogger(__name__)


def export(folder: ExportFolder, attempt: int, listens: bool = True) -> Problem | None:
    """Execute or continue an export. Return its problem if it failed."""
    return execute(folder, attempt, lambda config, events: _Export(folder, config, events).execute(), listens)


class _Export(ResultJob):
    """One attempt of an export."""

    def __init__(self, folder: ExportFolder, config: FineTuneConfig, events: EventLog) -> None:
        self._folder, self._request = folder, ExportRequest.of(folder)
        super().__init__(folder, self._request.step, config, events)
        self._target = self._request.target(folder)

    def execute(self) -> int:
        """Write what isn't written yet, and prove it. Return the peak memory in bytes.

        Raises:
            FineTuneError: the place is taken, the disk is full, or the model can't be exported in this way.
        """
        import torch

        from trainer.models.device import peak_memory_bytes

        request = self._request
        number_format = request.quantization or ""
        self._events.append(
            Started(
                run=self._folder.id, model_name=self._config.model_name, device="cpu", dtype=number_format,
                threads=os.cpu_count() or 1,
            )
        )  # fmt: skip
        record = ExportRecord.of(self._folder)
        if request.push and not (record and record.pushed):
            self._open_repository()
        self._files = files = self._find_files()
        if record is None or not self._target.exists():
            record = self._write(files.path)
            record.write(self._folder)
        if request.proof and record.proof is None:
            self._prove(record, files)
            record.write(self._folder)
        self._write_card(record)
        if request.push and not record.pushed:
            record.pushed = self._push(record)
            record.write(self._folder)
        return peak_memory_bytes(torch.device("cpu"))

    def _write(self, base: Path) -> ExportRecord:
        if self._target.exists():
            raise FineTuneError.of(Code.OUTPUT_EXISTS, path=str(self._target))
        self._events.phase("export")
        self._target.parent.mkdir(parents=True, exist_ok=True)
        staged = self._request.staged(self._folder)
        record = ExportRecord(path=str(self._target), bytes=0)
        try:
            getattr(self, f"_write_{self._request.kind}")(base, staged, record)
        except OSError as error:
            if error.filename is None or str(staged) in str(error.filename):
                error.filename, error.filename2 = str(self._target), None  # name the requested place, not ours
            raise
        publish(staged, self._target)
        record.bytes = _size_of(self._target)
        record.sha256 = sha256_of(self._target) if self._target.is_file() else ""
        return record

    def _tell(self, done: int, total: int) -> None:
        self._events.phase("export", done, total, "bytes")

    def _write_adapter(self, base: Path, staged: Path, record: ExportRecord) -> None:
        from trainer.artifacts.export import write_adapter
        from trainer.artifacts.stored_weights import ADAPTER_CONFIG, base_reference, config_with_base

        remove(staged)  # of an earlier attempt
        require_space(staged.parent, _size_of(self._result) + FULL_DISK_BYTES)
        # Checkpoints of earlier versions call their base by its path on this machine.
        named = config_with_base(self._result, base_reference(self._files.portable_name))
        replaced = {CARD: self._card(record), ADAPTER_CONFIG: named}
        write_adapter(self._result, staged, self._request.name.endswith(".zip"), replaced, base)

    def _find_files(self) -> ModelFiles:
        """Return the files of the model that was trained as a whole, or of the adapter's base model."""
        from trainer.models.model_files import ModelFiles

        if not is_whole_model(self._result):
            return self._find_base()
        name = self._base.name if self._base else self._config.model_name
        return ModelFiles(self._result, name, self._base.revision if self._base else None)

    def _merged(self, base: Path) -> MergedModel:
        from trainer.artifacts.merged_model import MergedModel

        return MergedModel(base, None if is_whole_model(self._result) else self._result)

    def _write_merged(self, base: Path, staged: Path, _record: ExportRecord) -> None:
        from trainer.artifacts.merged_folder import MergedFolder

        made = MergedFolder(self._merged(base), self._request.quantization or "f16")
        require_space(staged.parent, made.bytes - _size_of(staged) + FULL_DISK_BYTES)
        made.write(staged, base, self._result, self._template(base), self._tell)

    def _write_ollama(self, base: Path, staged: Path, record: ExportRecord) -> None:
        from trainer.artifacts.ollama_folder import write_modelfile

        remove(staged)  # of an earlier attempt
        staged.mkdir()
        weights = self._request.weights(staged)
        self._write_gguf(base, weights, record)
        record.has_template = write_modelfile(staged, weights.name, self._template(base))

    def _write_gguf(self, base: Path, staged: Path, record: ExportRecord) -> None:
        from trainer.artifacts.gguf_file import GGUFFile

        remove(staged)  # of an earlier attempt
        tokenizer = self._result if (self._result / "tokenizer.json").is_file() else base
        file = GGUFFile(self._merged(base), self._request.quantization or "f16")
        require_space(staged.parent, file.bytes + FULL_DISK_BYTES)
        file.write(staged, self._request.name.removesuffix(".gguf"), tokenizer, self._template(base), self._tell)
        record.number_formats, record.substituted = file.types, file.substituted

    def _card(self, record: ExportRecord) -> str:
        from trainer.artifacts.export_card import export_card
        from trainer.artifacts.model_card import checkpoint_card
        from trainer.models.model_files import license_of

        files, own = self._files, self._result / CARD
        card = own.read_text(encoding="utf-8") if own.is_file() else ""
        if "finetune-studio" not in card:  # there is none, or PEFT's, which says nothing
            card = checkpoint_card(
                self._config, self._request.name.removesuffix(".zip"), files.portable_name, license_of(files), files.revision, self._dtype,
            )  # fmt: skip
        return export_card(card, self._request, record.proof)

    @property
    def _dtype(self) -> str:
        """The number format of the run."""
        return self._machine.dtype if self._machine else "float32"

    def _write_card(self, record: ExportRecord) -> None:
        """Put the card, and the picture that it shows, into a folder of a model."""
        from trainer.artifacts.model_card import CURVE

        if self._request.kind not in ("merged", "ollama"):
            return
        write_text(self._target / CARD, self._card(record))
        if (self._result / CURVE).is_file():
            shutil.copyfile(self._result / CURVE, self._target / CURVE)
        record.bytes = _size_of(self._target)
        record.write(self._folder)

    def _open_repository(self) -> None:
        from trainer.models.hub_push import open_repository

        self._events.phase("push")
        open_repository(self._request.push, self._request.public)

    def _push(self, record: ExportRecord) -> str:
        """Upload the files and their card, and return the address of the repository."""
        from trainer.artifacts.model_card import CURVE
        from trainer.models.hub_push import push

        target = self._target
        if target.is_dir():
            files: dict[str, Path | bytes] = {
                str(path.relative_to(target)): path for path in target.rglob("*") if path.is_file()
            }
        else:
            files = {target.name: target}
            if (self._result / CURVE).is_file():
                files[CURVE] = self._result / CURVE
        files[CARD] = self._card(record).encode()
        self._events.phase("push", 0, 1, "bytes")
        return push(
            list(files.items()), self._request.push, f"Upload {target.name}",
            lambda done, total: self._events.phase("push", done, total, "bytes"),
        )  # fmt: skip

    def _template(self, base: Path) -> ChatTemplate:
        from trainer.models.model_files import ModelFiles
        from trainer.tokens.tokenizer import load_template

        return load_template(ModelFiles(base, self._config.model_name, None), self._config.model_name)

    def _prove(self, record: ExportRecord, files: ModelFiles) -> None:
        from concurrent.futures.process import BrokenProcessPool

        from trainer.artifacts.merged_folder import ends_of
        from trainer.evaluation.proof import hindrance, prompts_of, prove

        template = self._template(files.path)
        scores = not method_of(self._config).generates
        record.unproven = "scores_and_no_answers" if scores else hindrance(self._request.kind, files)
        if record.unproven:
            return
        prompts = prompts_of(self._folder.home, self._config, template)
        try:
            record.proof = prove(
                self._request, self._request.weights(self._target), self._result, files, self._dtype, template, prompts, ends_of(template),
                lambda done, total: self._events.phase("prove", done, total, "prompts"),
            )  # fmt: skip
        except BrokenProcessPool:
            log.exception("llama.cpp has ended its process")
            record.unproven = "runtime_crashed"


def _size_of(path: Path) -> int:
    """Return the bytes of a file or of all files in a folder; 0 if there is none."""
    if path.is_file():
        return path.stat().st_size
    return sum(one.stat().st_size for one in path.rglob("*") if one.is_file())
