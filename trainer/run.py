"""The story of one run, on one screen: data, model, tokens, adapter, training, answers, adapter on disk."""

from __future__ import annotations

import functools
import shutil
import time
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import torch
from peft import PeftModel

from interfaces.config import FineTuneConfig
from interfaces.disk import require_space
from interfaces.events import Evaluated, Finished, Sampled, Started, Step, Stopped, Warned, kept, read_events
from interfaces.example import Example
from interfaces.folders import RunFolder, read_json, write_json
from interfaces.problems import Code, FineTuneError, Problem
from trainer.adapter import add_adapter, save_adapter
from trainer.arguments import training_arguments
from trainer.base_model import load_model, load_tokenizer, parameter_count
from trainer.callbacks import Keeper, Reporter, Stopper
from trainer.checkpoints import newest_checkpoint
from trainer.dataset import load_dataset, split_examples
from trainer.device import Compute, choose_compute, peak_memory_bytes
from trainer.event_log import EventLog
from trainer.loop import TrainingLoop, as_dataset, collate
from trainer.model_files import ModelFiles, find_model
from trainer.samples import answer_prompts
from trainer.stop import StopRequest, StopRequested
from trainer.template import ChatTemplate, Findings, Tokens, tokenize

PACKAGES = ("torch", "transformers", "peft", "accelerate", "finetune-studio")


@dataclass
class Prepared:
    """All that training needs."""

    model: PeftModel
    template: ChatTemplate
    files: ModelFiles
    train: list[Tokens]
    validation: list[Tokens]
    dataset_sha256: str


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
        prepared = _prepare(config, folder, log, stop, compute)
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


def _prepare(config: FineTuneConfig, folder: RunFolder, log: EventLog, stop: StopRequest, compute: Compute) -> Prepared:
    """Read, fetch, check and load everything; quick checks first, so that bad input is told in seconds."""
    log.phase("data")
    dataset, examples, report = load_dataset(folder.home, config.dataset)
    training, kept_aside = split_examples(examples, config.validation_split, config.seed)
    stop.check()
    log.phase("download")
    files = find_model(
        config.model_name, config.model_revision, folder.home, functools.partial(_tell_download, log, stop)
    )
    tokenizer = load_tokenizer(files, config.model_name)
    _write_lineage(config, folder, files, dataset.id, report, compute)
    stop.check()
    log.phase("tokenize", 0, len(examples), "rows")
    template = ChatTemplate(tokenizer, config.model_name)
    train, validation = _tokenize(template, config, log, training, kept_aside, report)
    stop.check()
    log.phase("model")
    model = add_adapter(load_model(files, config, compute), config, files)
    # Adapter and two optimiser moments in fp32, for each checkpoint kept, the one in staging, and the result.
    require_space(folder.path, 12 * parameter_count(model)[0] * (config.save_total_limit + 2))
    stop.check()
    return Prepared(model, template, files, train, validation, report["sha256"])


def _tell_download(log: EventLog, stop: StopRequest, done: int, total: int) -> None:
    log.phase("download", done, total, "bytes")
    stop.check()


def _tokenize(
    template: ChatTemplate, config: FineTuneConfig, log: EventLog,
    training: list[Example], kept_aside: list[Example], report: dict[str, Any],
) -> tuple[list[Tokens], list[Tokens]]:  # fmt: skip
    """Tokens for both sides of the split; what was cut, left out or rewritten is told with its count."""
    findings = Findings()
    train = tokenize(template, training, config.max_length, findings)
    validation = tokenize(template, kept_aside, config.max_length, findings)
    rows = len(training) + len(kept_aside)
    if not train:
        cut = len(findings.left_out)
        raise FineTuneError.of(
            Code.NOTHING_TO_TRAIN, path=report["name"], rows=rows, cut=cut, max_length=config.max_length
        )
    counts = {"rows": rows, "max_length": config.max_length}
    warnings = []
    if findings.cut:
        warnings.append(Problem.warning(Code.ROWS_CUT, count=len(findings.cut), longest=findings.longest, **counts))
    if findings.left_out:
        first = findings.left_out[:20]
        warnings.append(Problem.warning(Code.ROWS_LEFT_OUT, count=len(findings.left_out), first=first, **counts))
    if findings.rewritten:
        warnings.append(
            Problem.warning(Code.TEMPLATE_REWRITES_HISTORY, model=config.model_name, count=findings.rewritten)
        )
    if findings.without_end:
        token = template.tokenizer.eos_token
        warnings.append(Problem.warning(Code.NO_END_OF_TURN, model=config.model_name, token=token))
    if not validation and config.validation_split > 0:
        warnings.append(Problem.warning(Code.NO_VALIDATION, rows=rows, split=config.validation_split))
    for problem in warnings:
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
    loop = TrainingLoop(
        model=prepared.model,
        args=training_arguments(config, folder, compute, evaluates=bool(prepared.validation)),
        data_collator=functools.partial(collate, pad_token_id=prepared.template.tokenizer.pad_token_id),
        train_dataset=as_dataset(prepared.train),
        eval_dataset=as_dataset(prepared.validation) or None,
        callbacks=[reporter, stopper, Keeper(folder, log, config, facts)],
    )
    reporter.loop = loop
    return loop, stopper


def _evaluate_end(loop: TrainingLoop, prepared: Prepared, folder: RunFolder, log: EventLog, step: int) -> None:
    """The validation loss of the result itself, where the last step wasn't one of those that are measured."""
    told = [event.step for event in read_events(folder.events) if isinstance(event, Evaluated)]
    if prepared.validation and (not told or told[-1] != step):
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
    config: FineTuneConfig,
    folder: RunFolder,
    files: ModelFiles,
    dataset_id: str,
    report: dict[str, Any],
    compute: Compute,
) -> None:
    """Where the result comes from. Written once: a resume goes on with the same data and the same base."""
    if folder.lineage.exists():
        return
    dataset = {"id": dataset_id, "name": report["name"], "sha256": report["sha256"], "rows": report["rows"]}
    base = {"name": files.portable_name, "requested": config.model_name, "revision": files.revision}
    machine = {"device": str(compute.device), "dtype": compute.dtype_name, "threads": compute.threads}
    write_json(folder.lineage, {"dataset": dataset, "base": base, "machine": machine, "versions": _versions()})


def _versions() -> dict[str, str]:
    return {package: torch.__version__ if package == "torch" else version(package) for package in PACKAGES}
