"""The story of one run, on one screen: data, model, tokens, adapter, training, answers, adapter on disk."""

from __future__ import annotations

import functools
import shutil
import time
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy
import torch
from peft import PeftModel

from interfaces.config import FineTuneConfig
from interfaces.disk import require_space
from interfaces.events import Evaluated, Finished, Sampled, Started, Step, Stopped, Warned, kept, read_events
from interfaces.examples import ExampleFile
from interfaces.folders import RunFolder, read_json, write_json
from interfaces.problems import Code, FineTuneError, Problem
from trainer.adapter import add_adapter, save_adapter
from trainer.arguments import training_arguments
from trainer.base_model import load_model, parameter_count
from trainer.batches import flat_batch, padded_batch
from trainer.callbacks import Keeper, Reporter, Stopper
from trainer.checkpoints import newest_checkpoint
from trainer.dataset import Indices, index_of, load_dataset
from trainer.device import Compute, choose_compute, peak_memory_bytes
from trainer.event_log import EventLog
from trainer.forward import Forward, adapt_forward
from trainer.loop import TrainingLoop
from trainer.model_files import ModelFiles, find_model
from trainer.packing import batched
from trainer.run_warnings import SHOWN_ROWS, data_warnings, refuse_or_warn, selection_warnings
from trainer.samples import answer_prompts
from trainer.splitting import split_rows, without_leaks
from trainer.stop import StopRequest, StopRequested
from trainer.template import ChatTemplate
from trainer.token_store import TokenView, select, tokenize
from trainer.tokenizer import load_template

PACKAGES = ("torch", "transformers", "peft", "accelerate", "finetune-studio")


@dataclass
class Prepared:
    """All that training needs."""

    model: PeftModel
    template: ChatTemplate
    files: ModelFiles
    train: TokenView
    validation: TokenView
    dataset_sha256: str
    flat: bool


def run_training(config: FineTuneConfig, folder: RunFolder, log: EventLog, stop: StopRequest) -> None:
    """One attempt from start to end. Its last event is Finished or Stopped; anything else raises.

    Raises:
        FineTuneError: something that the person can mend.
        Exception: what a library raised; `failures.problem_of` translates it.
    """
    begun = time.monotonic()
    resume_step, passed_over = newest_checkpoint(folder)
    recorded = (read_json(folder.lineage) or {}).get("machine") if resume_step is not None else None
    compute = choose_compute(config, recorded)
    log.append(
        Started(
            run=folder.id, model_name=config.model_name, device=str(compute.device), dtype=compute.dtype_name,
            threads=compute.threads, resumed_from_step=resume_step,
        )
    )  # fmt: skip
    for problem in (*compute.warnings, *passed_over):
        log.append(Warned(problem=problem))
    try:
        prepared = _prepare(config, folder, log, stop, compute, recorded)
        if resume_step is None:
            _answer(prepared, config, log, stop, step=0)
    except StopRequested:
        log.append(Stopped(step=resume_step or 0, resumable=resume_step is not None))
        return
    loop, stopper = _build_loop(config, folder, log, stop, compute, prepared)
    log.phase("train")
    shutil.rmtree(folder.staging, ignore_errors=True)  # what was not committed does not exist
    loop.train(resume_from_checkpoint=str(folder.checkpoint(resume_step)) if resume_step else None)
    shutil.rmtree(folder.staging, ignore_errors=True)
    step = loop.state.global_step
    if not stopper.asked:
        _evaluate_end(loop, prepared, folder, log, step)
        _answer(prepared, config, log, stop, step)
    if stop.mode != "discard":
        log.phase("save")
        _save(prepared, config, folder, compute, step)
    if stopper.asked:
        log.append(Stopped(step=step, resumable=newest_checkpoint(folder)[0] is not None))
        return
    peak = peak_memory_bytes(compute.device)
    log.append(
        Finished(
            step=step, adapter=folder.adapter.name, peak_memory_bytes=peak, seconds=round(time.monotonic() - begun, 2)
        )
    )


def _prepare(
    config: FineTuneConfig, folder: RunFolder, log: EventLog, stop: StopRequest, compute: Compute,
    recorded: dict[str, Any] | None,
) -> Prepared:  # fmt: skip
    """Read, fetch, check and load everything; quick checks first, so that bad input is told in seconds."""
    log.phase("data")
    data = _read_data(config, folder, log)
    stop.check()
    log.phase("download")
    files = find_model(
        config.model_name, config.model_revision, folder.home, functools.partial(_tell_download, log, stop)
    )
    template = load_template(files, config.model_name)
    stop.check()
    train, validation = _tokenize(template, config, folder, log, stop, data)
    stop.check()
    log.phase("model")
    base = load_model(files, config, compute)
    forward = adapt_forward(base, config.model_name, recorded)
    for problem in forward.warnings:
        log.append(Warned(problem=problem))
    if recorded is None:
        _write_lineage(config, folder, files, data, compute, forward)
    model = add_adapter(base, config, files)
    # Adapter and two optimiser moments in fp32, for each checkpoint kept, the one in staging, and the result.
    require_space(folder.path, 12 * parameter_count(model)[0] * (config.save_total_limit + 2))
    stop.check()
    return Prepared(model, template, files, train, validation, data.report["sha256"], forward.batches == "flat")


@dataclass
class _Data:
    """The rows of a run: those to train on and those kept aside, which may lie in a file of their own."""

    examples: ExampleFile
    training: Indices
    report: dict[str, Any]
    measured: ExampleFile
    kept_aside: Indices
    measured_report: dict[str, Any]


def _read_data(config: FineTuneConfig, folder: RunFolder, log: EventLog) -> _Data:
    home = folder.home
    examples, used, report = load_dataset(home, config.dataset, config.columns, config.bad_rows)
    for problem in data_warnings(report, config):
        log.append(Warned(problem=problem))
    index = index_of(examples.folder)
    if not config.validation_dataset:
        training, kept_aside = split_rows(index, used, config.validation_split, config.seed)
        return _Data(examples, training, report, examples, kept_aside, report)
    measured, all_measured, measured_report = load_dataset(
        home, config.validation_dataset, config.columns, config.bad_rows
    )
    kept_aside, leaked = without_leaks(index[used], index_of(measured.folder), all_measured)
    if len(leaked):
        first = [measured.entry(int(position))[2] for position in leaked[:SHOWN_ROWS]]
        counts = {"count": len(leaked), "rows": len(all_measured), "first": first}
        log.append(Warned(problem=Problem.warning(Code.LEAK_REMOVED, **counts)))
    return _Data(examples, used, report, measured, kept_aside, measured_report)


def _tell_download(log: EventLog, stop: StopRequest, done: int, total: int) -> None:
    log.phase("download", done, total, "bytes")
    stop.check()


def _tokenize(
    template: ChatTemplate, config: FineTuneConfig, folder: RunFolder, log: EventLog, stop: StopRequest, data: _Data
) -> tuple[TokenView, TokenView]:
    """Tokens for both sides of the split; what was cut, left out or rewritten is told with its count."""
    split_at = config.max_length if config.long_rows == "split" else 0

    def tell(done: int, total: int) -> None:
        log.phase("tokenize", done, total, "rows")
        stop.check()

    def view(examples: ExampleFile, used: Indices, tells: bool) -> TokenView:
        store = tokenize(folder.home, examples, template, split_at, tell)
        chosen, findings = select(store, used, config.max_length, config.long_rows)
        warnings = refuse_or_warn(findings, store, template, examples, config)
        for problem in (
            warnings + selection_warnings(findings, chosen.items, template, examples, config) if tells else []
        ):
            log.append(Warned(problem=problem))
        return chosen

    separate = data.measured is not data.examples
    # One split's rows are told of together: both sides are cut by the same rule.
    both = numpy.concatenate([data.training] if separate else [data.training, data.kept_aside])
    view(data.examples, numpy.sort(both), tells=True)
    train = view(data.examples, data.training, tells=False)
    validation = view(data.measured, data.kept_aside, tells=separate)
    rows = len(both)
    if not len(train):
        raise FineTuneError.of(
            Code.NOTHING_TO_TRAIN, path=data.report["name"], rows=rows, cut=rows, max_length=config.max_length
        )
    if not len(validation) and (config.validation_split > 0 or separate):
        problem = Problem.warning(Code.NO_VALIDATION, rows=rows, split=config.validation_split)
        log.append(Warned(problem=problem))
    return train, validation


def _build_loop(
    config: FineTuneConfig, folder: RunFolder, log: EventLog, stop: StopRequest, compute: Compute, prepared: Prepared
) -> tuple[TrainingLoop, Stopper]:
    earlier = [event.loss for event in kept(read_events(folder.events)) if isinstance(event, Evaluated)]
    facts = {
        "world_size": 1, "dataset_sha256": prepared.dataset_sha256, "dtype": compute.dtype_name,
        "threads": compute.threads, "versions": _versions(),
    }  # fmt: skip
    stopper = Stopper(stop, config.early_stopping_patience, earlier)
    reporter = Reporter(log, compute, config, len(prepared.validation))
    pad = prepared.template.tokenizer.pad_token_id
    loop = TrainingLoop(
        model=prepared.model,
        args=training_arguments(config, folder, compute, evaluates=len(prepared.validation) > 0),
        data_collator=flat_batch if prepared.flat else functools.partial(padded_batch, pad_token_id=pad),
        train_dataset=batched(prepared.train, config),
        eval_dataset=batched(prepared.validation, config) if len(prepared.validation) else None,
        callbacks=[reporter, stopper, Keeper(folder, log, config, facts)],
    )
    reporter.loop = loop
    return loop, stopper


def _evaluate_end(loop: TrainingLoop, prepared: Prepared, folder: RunFolder, log: EventLog, step: int) -> None:
    """The validation loss of the result itself, where the last step wasn't one of those that are measured."""
    told = [event.step for event in read_events(folder.events) if isinstance(event, Evaluated)]
    if len(prepared.validation) and (not told or told[-1] != step):
        log.phase("evaluate")
        loop.evaluate()


def _answer(prepared: Prepared, config: FineTuneConfig, log: EventLog, stop: StopRequest, step: int) -> None:
    """The sample prompts, answered by the model as it is now. A fresh adapter changes nothing: step 0 is the base."""
    prompts = config.sample_prompts
    if prompts:
        log.phase("sample", 0, len(prompts), "prompts")
    answers = answer_prompts(prepared.model, prepared.template, prompts, config.sample_max_new_tokens)
    for done, (prompt, answer) in enumerate(answers, start=1):
        log.append(Sampled(step=step, prompt=prompt, answer=answer))
        log.phase("sample", done, len(prompts), "prompts")
        if step == 0:
            stop.check()


def _save(prepared: Prepared, config: FineTuneConfig, folder: RunFolder, compute: Compute, step: int) -> None:
    events = list(kept(read_events(folder.events)))
    losses = [event.loss for event in events if isinstance(event, Step)]
    evaluations = [event.loss for event in events if isinstance(event, Evaluated)]
    facts = {
        "base": prepared.files.portable_name, "revision": prepared.files.revision, "dtype": compute.dtype_name,
        "train_rows": len(prepared.train), "validation_rows": len(prepared.validation),
        "dataset_sha256": prepared.dataset_sha256, "steps": step, "versions": _versions(),
        "loss_first": losses[0] if losses else None, "loss_last": losses[-1] if losses else None,
        "eval_loss": evaluations[-1] if evaluations else None,
    }  # fmt: skip
    if folder.adapter.exists():  # of an attempt that was stopped
        shutil.rmtree(folder.adapter)
    save_adapter(prepared.model, prepared.template.tokenizer, folder.adapter, config, facts)


def _write_lineage(
    config: FineTuneConfig, folder: RunFolder, files: ModelFiles, data: _Data, compute: Compute, forward: Forward
) -> None:
    """Where the result comes from. A resume from a checkpoint goes on with the same data, base and numbers."""
    base = {"name": files.portable_name, "requested": config.model_name, "revision": files.revision}
    machine = {
        "device": str(compute.device), "dtype": compute.dtype_name, "threads": compute.threads,
        "batches": forward.batches, "logits": forward.logits,
    }  # fmt: skip
    record = {"dataset": _origin(data.examples, data.report), "base": base, "machine": machine, "versions": _versions()}
    if data.measured is not data.examples:
        record["validation_dataset"] = _origin(data.measured, data.measured_report)
    write_json(folder.lineage, record)


def _origin(examples: ExampleFile, report: dict[str, Any]) -> dict[str, Any]:
    kept = ("name", "sha256", "examples_sha256", "rows", "format", "columns", "parts")
    return {"id": examples.folder.id, **{key: report[key] for key in kept if key in report}}


def _versions() -> dict[str, str]:
    return {package: torch.__version__ if package == "torch" else version(package) for package in PACKAGES}
