"""Prepares everything that training needs: data, model, tokens, and adapter. Quick checks come first."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from importlib.metadata import version

import numpy
import torch
from peft import PeftModel
from transformers import PreTrainedModel

from interfaces.config import FineTuneConfig, learning_rates, method_of
from interfaces.dataset_records import DatasetReport
from interfaces.disk import require_space
from interfaces.errors import FineTuneError
from interfaces.example_file import ExampleFile
from interfaces.files import read_json, write_json
from interfaces.kernel_sizes import checkpoint_bytes
from interfaces.problems import Code, Problem
from interfaces.run_records import BaseOrigin, DatasetOrigin, Lineage, Machine
from trainer.artifacts.adapter import ADAPTER_FILES, add_adapter, copy_adapter, find_adapter, is_tied, settings_of
from trainer.artifacts.checkpoints import Conditions, committed_steps
from trainer.artifacts.resume import hash_of
from trainer.data.dataset import Indices
from trainer.data.run_rows import RunRows, rows_of_run
from trainer.kernels.fast_paths import FastPaths, use_fast_paths
from trainer.methods.method import Collate
from trainer.models.base_model import load_model, parameter_count
from trainer.models.device import hardware_name
from trainer.models.model_files import ModelFiles, find_model, fingerprint_of
from trainer.models.scorer import scorer_of
from trainer.tokens.batches import flat_batch, padded_batch
from trainer.tokens.length_figures import figures
from trainer.tokens.marks import Marks
from trainer.tokens.packing import View
from trainer.tokens.pairs import view_for
from trainer.tokens.run_warnings import SHOWN_ROWS, data_warnings, nothing_to_train, refuse_or_warn, selection_warnings
from trainer.tokens.selection import Findings, select
from trainer.tokens.template import ChatTemplate
from trainer.tokens.token_store import TokenView, tokenize
from trainer.tokens.tokenizer import load_template
from trainer.training.attempt import AttemptContext
from trainer.training.event_log import EventLog
from trainer.training.first_weights import Residual, begin_with_data
from trainer.training.stop import StopSignal

PACKAGES = ("torch", "transformers", "peft", "accelerate", "finetune-studio")


@dataclass
class Prepared:
    """All that training needs."""

    model: PeftModel | PreTrainedModel
    """The base model with an adapter, or all of it to be trained."""
    template: ChatTemplate
    files: ModelFiles
    train: View
    validation: View
    fast_paths: FastPaths
    conditions: Conditions
    dataset_name: str
    first_weights: dict[str, torch.Tensor] | None
    """The trained weights before the first step, where the method compares with them and no new adapter can be off."""
    residual: Residual | None
    """The base model, if a part of its weights has been moved to the adapter."""


def prepare(attempt: AttemptContext, recorded: Machine | None, resumed: int | None) -> Prepared:
    """Read, download, check, and load everything. Quick checks come first, to report invalid input within seconds.

    `recorded` is the device, dtype, and kernels of an earlier attempt of the same run, which is `resumed` at a step.
    """
    config, folder, log, stop, compute = attempt.config, attempt.folder, attempt.log, attempt.stop, attempt.compute
    if config.tuning == "full" and config.learning_rate > learning_rates(config)[1]:  # such as the usual one for LoRA
        usual = dict(zip(("least", "most"), map("{:g}".format, learning_rates(config)), strict=True))
        attempt.warn(
            Problem.warning(Code.RATE_UNUSUAL, rate=f"{config.learning_rate:g}", method=config.method, **usual)
        )
    log.phase("data")
    data = _read_data(attempt)
    _begin_with(attempt)
    stop.check()
    log.phase("download")
    files = find_model(
        config.model_name, config.model_revision, folder.home, functools.partial(_tell_download, log, stop)
    )
    if config.tuning == "full" and "quantization_config" in (read_json(files.path / "config.json") or {}):
        raise FineTuneError.of(Code.VALUE_INVALID, field="tuning", value="full", expected="lora_for_quantized")
    before = Lineage.of(folder) if recorded else None
    if before and before.base.fingerprint not in (None, fingerprint_of(files)):
        raise FineTuneError.of(Code.BASE_CHANGED, model=config.model_name, run=folder.id)
    _warn_of_base(attempt, files)
    template = load_template(files, config.model_name).with_marks(Marks.of(config))
    if not stops_by_itself(template) and method_of(config).generates:
        end = {"token": template.end, "value": template.end_id}
        attempt.warn(Problem.warning(Code.END_NOT_EOS, model=config.model_name, **end))
    stop.check()
    train, validation = _tokenize(attempt, template, data)
    _write_lengths(attempt, train)
    stop.check()
    log.phase("model")
    base = load_model(files, config, compute)
    _check_reach(attempt, base, template, (train, validation))
    fast_paths = use_fast_paths(base, config.model_name, recorded, folder.home.fast_paths)
    attempt.warn(*fast_paths.warnings)
    if recorded is None:
        _write_lineage(attempt, files, data, fast_paths)
    if not method_of(config).generates:
        base = scorer_of(base, config.model_name, config.seed)
    first = folder.first_adapter if config.adapter_name_or_path else None
    model: PeftModel | PreTrainedModel
    residual = None
    if config.tuning == "full":
        model = base.requires_grad_(True)
    else:
        _warn_of_tied(attempt, base)
        model = add_adapter(base, config, files, first)
        if config.lora.init_lora_weights == "pissa":
            residual = Residual(model, None if resumed is None else folder.checkpoint(resumed))
        elif config.lora.init_lora_weights == "eva" and resumed is None:
            begin_with_data(model, train, collate_of(template, fast_paths), stop.check)
    # Future checkpoints: those to keep, the best one, and the one in staging; plus the result.
    missing = max(config.save_total_limit + 3 - len(committed_steps(folder)), 1)
    require_space(folder.path, checkpoint_size(model, config) * missing)
    stop.check()
    conditions = Conditions(
        config_sha256=hash_of(config), dataset_sha256=data.report.sha256, validation_sha256=data.measured_report.sha256,
        world_size=1, device=str(compute.device), dtype=compute.dtype_name, threads=compute.threads,
        batches=fast_paths.batches, logits=fast_paths.logits, attention=base.config._attn_implementation, versions=versions(),
    )  # fmt: skip
    first_weights = None
    if residual is not None and method_of(config).reference:
        first_weights = residual.first
    elif (first is not None or config.tuning == "full") and method_of(config).reference:
        trained = ((name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad)
        first_weights = {name: parameter.detach().clone() for name, parameter in trained}
    learned, measured = (view_for(method_of(config).rows, view) for view in (train, validation))
    return Prepared(
        model, template, files, learned, measured, fast_paths, conditions, data.report.name, first_weights, residual
    )  # fmt: skip


def collate_of(template: ChatTemplate, fast_paths: FastPaths) -> Collate:
    """Return how examples become a batch: flat, or padded if the model doesn't support that."""
    pad = template.tokenizer.pad_token_id
    return flat_batch if fast_paths.batches == "flat" else functools.partial(padded_batch, pad_token_id=pad)


def _check_reach(
    attempt: AttemptContext, base: PreTrainedModel, template: ChatTemplate, views: tuple[TokenView, ...]
) -> None:
    """Check the rows against the model's maximum positions and its token embeddings.

    Raises:
        FineTuneError: rows contain tokens without an embedding, which would crash the run later.
    """
    config = attempt.config
    positions = getattr(base.config, "max_position_embeddings", None)
    if positions and config.max_length > positions:
        scaling = getattr(base.config, "rope_scaling", None) or {}
        kind = scaling.get("rope_type", scaling.get("type", "default"))
        found = {"max_length": config.max_length, "model": config.model_name, "value": positions}
        found |= {"reason": "rope_scaled", "seen": kind} if kind != "default" else {}
        attempt.warn(Problem.warning(Code.POSITIONS_EXCEEDED, **found))
    if config.tuning == "lora":
        _warn_of_untrained(attempt, base, template, views[0])
    known = base.get_input_embeddings().weight.shape[0]
    if len(template.tokenizer) <= known:
        return
    beyond = [int(max(row["input_ids"])) for view in views for row in view if max(row["input_ids"]) >= known]
    if beyond:
        counts = {"count": len(beyond), "rows": sum(map(len, views)), "value": beyond[0], "expected": known}
        raise FineTuneError.of(Code.TOKENS_UNKNOWN, model=config.model_name, **counts)


def stops_by_itself(template: ChatTemplate) -> bool:
    """Return whether the model, by its own files, stops at the token that ends an answer."""
    return template.end_id is None or not template.stop_ids or template.end_id in template.stop_ids


def _warn_of_untrained(attempt: AttemptContext, base: PreTrainedModel, template: ChatTemplate, view: TokenView) -> None:
    """Warn about tokens with untrained (all-zero) embeddings, such as a base model's chat tokens; LoRA can't help."""
    used = view.store.used_ids()
    found: set[int] = set()
    head = base.get_output_embeddings() if method_of(attempt.config).generates else None
    for table in (base.get_input_embeddings(), head):
        weight = getattr(table, "weight", None)
        if weight is not None and weight.dim() == 2 and weight.is_floating_point():
            ids = torch.as_tensor(used[used < len(weight)], dtype=torch.long, device=weight.device)
            found |= set(ids[weight[ids].abs().amax(dim=1) == 0].tolist())
    if found:
        names = template.tokenizer.convert_ids_to_tokens(sorted(found)[:8])
        model = attempt.config.model_name
        attempt.warn(Problem.warning(Code.TOKENS_UNTRAINED, model=model, count=len(found), value=names))


def _warn_of_tied(attempt: AttemptContext, base: PreTrainedModel) -> None:
    """Warn about an adapter on tied embeddings, which can't be merged into only the head or only the embeddings."""
    config = attempt.config
    if config.adapter_name_or_path or isinstance(config.lora.target_modules, str):
        return
    if is_tied(base):
        ends = ("lm_head", "embed_tokens", "wte", "embed_in", "embed_out", "word_embeddings")
        tied = [name for name in config.lora.target_modules if name.rsplit(".", 1)[-1] in ends]
        if tied:
            attempt.warn(Problem.warning(Code.TARGET_TIED, value=", ".join(tied), model=config.model_name))


def checkpoint_size(model: PeftModel | PreTrainedModel, config: FineTuneConfig) -> int:
    """Return the bytes of a checkpoint: the trained weights and the optimizer's state, plus small files."""
    of_one = 12
    if config.tuning == "full":
        of_one = checkpoint_bytes(config, 4 if config.master_weights else model.dtype.itemsize)
    elif config.lora.init_lora_weights == "pissa":
        of_one = 16  # stored with twice the rank
    return of_one * parameter_count(model)[0] + (1 << 16)


def _begin_with(attempt: AttemptContext) -> None:
    """Copy the adapter that this run starts from."""
    config, folder = attempt.config, attempt.folder
    if not config.adapter_name_or_path:
        return
    if not folder.first_adapter.is_dir():
        copy_adapter(find_adapter(config.adapter_name_or_path, folder.home), folder.first_adapter)
    shape, lora = settings_of(folder.first_adapter, config.adapter_name_or_path), config.lora
    targets = shape.target_modules if isinstance(shape.target_modules, str) else sorted(shape.target_modules or [])
    asked = (lora.r, lora.lora_alpha, lora.use_rslora, lora.use_dora)
    layers = shape.layers_to_transform or []
    layers = [layers] if isinstance(layers, int) else sorted(layers)
    if (
        asked != (shape.r, shape.lora_alpha, shape.use_rslora, shape.use_dora)
        or lora.layers_to_transform not in ([], layers)
        or lora.rank_pattern not in ({}, shape.rank_pattern)
        or lora.alpha_pattern not in ({}, shape.alpha_pattern)
        or (isinstance(lora.target_modules, list) and sorted(lora.target_modules) != targets)
    ):
        kept_shape = {"r": shape.r, "lora_alpha": shape.lora_alpha, "target_modules": targets}
        attempt.warn(Problem.warning(Code.ADAPTER_SETTINGS, **kept_shape))


def _warn_of_base(attempt: AttemptContext, files: ModelFiles) -> None:
    config, folder = attempt.config, attempt.folder
    if config.adapter_name_or_path:
        seen = str((read_json(folder.first_adapter / ADAPTER_FILES[0]) or {}).get("base_model_name_or_path"))
        if seen.removeprefix("./") not in (files.portable_name, str(files.path), config.model_name):
            attempt.warn(Problem.warning(Code.ADAPTER_BASE, seen=seen, model=config.model_name))


def _read_data(attempt: AttemptContext) -> RunRows:
    rows = rows_of_run(attempt.folder.home, attempt.config)
    attempt.warn(*data_warnings(rows.report, attempt.config))
    if len(rows.leaked):
        first = [rows.measured.entry(int(position))[2] for position in rows.leaked[:SHOWN_ROWS]]
        counts = {"count": len(rows.leaked), "rows": rows.candidates, "first": first}
        attempt.warn(Problem.warning(Code.LEAK_REMOVED, **counts))
    return rows


def _tell_download(log: EventLog, stop: StopSignal, done: int, total: int) -> None:
    log.phase("download", done, total, "bytes")
    stop.check()


def _tokenize(attempt: AttemptContext, template: ChatTemplate, data: RunRows) -> tuple[TokenView, TokenView]:
    """Tokenize both splits, and report the numbers of truncated, skipped, and rewritten rows."""
    config = attempt.config
    split_at = config.max_length if config.long_rows == "split" else 0

    def tell(done: int, total: int) -> None:
        attempt.log.phase("tokenize", done, total, "rows")
        attempt.stop.check()

    def view(examples: ExampleFile, used: Indices, tells: bool) -> tuple[TokenView, Findings]:
        store = tokenize(attempt.folder.home, examples, template, split_at, tell)
        pairs = method_of(config).rows == "pairs"
        chosen, findings = select(store, used, config.max_length, config.long_rows, pairs)
        warnings = refuse_or_warn(findings, store, template, examples, config)
        if tells:
            attempt.warn(*warnings, *selection_warnings(findings, chosen.items, template, examples, config))
        return chosen, findings

    separate = data.measured is not data.examples
    # Report the rows of both splits together, because the same rule truncates them.
    both = numpy.concatenate([data.training] if separate else [data.training, data.kept_aside])
    view(data.examples, numpy.sort(both), tells=True)
    train, findings = view(data.examples, data.training, tells=False)
    validation, _ = view(data.measured, data.kept_aside, tells=separate)
    rows = len(both)
    if not len(train):
        cut = len(findings.left_out) + findings.dropped
        raise FineTuneError(nothing_to_train(data.report.name, rows, cut, template, config.max_length))
    if not len(validation) and (config.validation_split > 0 or separate):
        attempt.warn(Problem.warning(Code.NO_VALIDATION, rows=rows, split=config.validation_split))
    return train, validation


def _write_lengths(attempt: AttemptContext, train: TokenView) -> None:
    """Store the lengths of the run's rows. The estimate that is compared with its peak memory uses them."""
    config, rows = attempt.config, len(train)
    batch = config.per_device_train_batch_size * method_of(config).sequences
    found = figures(train.store, train.items, rows, config.max_length, batch, config.long_rows)
    write_json(attempt.folder.lengths, found.model_dump())


def _write_lineage(attempt: AttemptContext, files: ModelFiles, data: RunRows, fast_paths: FastPaths) -> None:
    """Record the origin of the result. A resume continues with the same data, base model, and dtype."""
    compute = attempt.compute
    base = BaseOrigin(
        name=files.portable_name, requested=attempt.config.model_name, revision=files.revision,
        fingerprint=fingerprint_of(files),
    )  # fmt: skip
    machine = Machine(
        device=str(compute.device), dtype=compute.dtype_name, threads=compute.threads,
        batches=fast_paths.batches, logits=fast_paths.logits, hardware=hardware_name(compute.device),
    )  # fmt: skip
    separate = data.measured is not data.examples
    Lineage(
        dataset=_origin(data.examples, data.report), base=base, machine=machine, versions=versions(),
        validation_dataset=_origin(data.measured, data.measured_report) if separate else None,
    ).write(attempt.folder)  # fmt: skip


def _origin(examples: ExampleFile, report: DatasetReport) -> DatasetOrigin:
    return DatasetOrigin.model_validate({**dict(report), "id": examples.folder.id})


def versions() -> dict[str, str]:
    return {package: torch.__version__ if package == "torch" else version(package) for package in PACKAGES}
