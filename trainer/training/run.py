"""One run from start to end: data, model, tokens, adapter, training, samples, and the saved adapter."""

from __future__ import annotations

import contextlib
import shutil
import time

from peft import PeftModel
from transformers import PreTrainedModel

from interfaces.config import FineTuneConfig
from interfaces.errors import FineTuneError
from interfaces.events import Finished, Started, Stopped
from interfaces.folders import RunFolder
from interfaces.history import RunHistory
from interfaces.problems import Code, Problem
from interfaces.run_records import Lineage
from trainer.artifacts.checkpoints import newest_checkpoint, verify_checkpoint
from trainer.artifacts.curve_picture import curve_picture
from trainer.artifacts.merged_folder import ends_of
from trainer.artifacts.model_card import CardFacts
from trainer.artifacts.results import WholeModel, save_adapter, save_model
from trainer.artifacts.resume import ResumePoint, find_resume_point, no_longer_exact
from trainer.artifacts.stored_weights import base_reference
from trainer.methods.method import create_method
from trainer.models.device import choose_compute, hardware_name, peak_memory_bytes
from trainer.models.model_files import license_of
from trainer.tokens.packing import batched
from trainer.training.arguments import training_arguments
from trainer.training.attempt import AttemptContext, decided
from trainer.training.callbacks import CheckpointCallback, EventCallback
from trainer.training.event_log import EventLog
from trainer.training.loop import TrainingLoop
from trainer.training.master_weights import SAVED, MasterWeights
from trainer.training.preparation import Prepared, checkpoint_size, collate_of, prepare, stops_by_itself, versions
from trainer.training.samples import Sampler, tell_answers, tell_first_answers
from trainer.training.stop import StopBudget, StopRequested, StopSignal
from trainer.training.stopper import EvalHistory, Stopper


def run_training(config: FineTuneConfig, history: RunHistory, log: EventLog, stop: StopSignal) -> None:
    """Run one attempt from start to end. Its final event is Finished or Stopped; all other outcomes raise.

    Raises:
        FineTuneError: a problem that the user can fix.
        Exception: an error of a library, which `failures.problem_of` translates.
    """
    begun, folder = time.monotonic(), history.folder
    resume_point = find_resume_point(folder)
    lineage = Lineage.of(folder)  # raises rather than overwriting one from another version
    recorded = lineage.machine if lineage and resume_point.step is not None else None
    compute = choose_compute(config, recorded)
    attempt = AttemptContext(decided(config, compute), folder, log, history, stop, compute)
    log.append(
        Started(
            run=folder.id, model_name=config.model_name, device=str(compute.device), dtype=compute.dtype_name,
            threads=compute.threads, resumed_from_step=resume_point.step,
        )
    )  # fmt: skip
    attempt.warn(*compute.warnings, *resume_point.warnings)
    shutil.rmtree(folder.staging, ignore_errors=True)  # uncommitted checkpoints don't count
    try:
        prepared = prepare(attempt, recorded, resume_point.step)
        if resume_point.step is None and (config.adapter_name_or_path or prepared.residual or config.tuning == "full"):
            # Once training changes that adapter, or all weights, these answers are gone.
            tell_answers(attempt, prepared.model, prepared.template, step=0)
            stop.check()
    except StopRequested:
        log.append(Stopped(step=resume_point.step or 0, resumable=resume_point.step is not None))
        return
    measured = history.refresh().validation
    eval_history = EvalHistory(dict(zip(measured.steps, measured.losses, strict=True)))
    loop, stopper = _build_loop(attempt, prepared, resume_point, eval_history)
    log.phase("train")
    before = loop.fingerprint() if resume_point.step is None else None
    _learn(loop, stopper, eval_history, folder, resume_point)
    if not stopper.asked and before == loop.fingerprint():
        raise FineTuneError.of(Code.NOTHING_LEARNED, steps=loop.state.global_step, rate=config.learning_rate)
    stop.budget = loop.budget  # until the adapter is saved, a stop must wait
    shutil.rmtree(folder.staging, ignore_errors=True)
    step = given = loop.state.global_step
    complete = not stopper.asked and _evaluate_end(attempt, loop, prepared, eval_history)
    if complete:
        given = _choose(attempt, loop, stopper, eval_history)
        answering = attempt, prepared.model, prepared.template
        complete = tell_first_answers(*answering) and tell_answers(*answering, step)
    if stop.mode != "discard":
        log.phase("save")
        _save(attempt, prepared, given)
    if not complete:
        log.append(Stopped(step=step, resumable=newest_checkpoint(folder)[0] is not None))
        return
    peak = peak_memory_bytes(compute.device)
    log.append(
        Finished(
            step=step, adapter=folder.result.name, peak_memory_bytes=peak, seconds=round(time.monotonic() - begun, 2)
        )
    )


def _build_loop(
    attempt: AttemptContext, prepared: Prepared, resume_point: ResumePoint, eval_history: EvalHistory
) -> tuple[TrainingLoop, Stopper]:
    attempt.warn(*no_longer_exact(resume_point, prepared.conditions))
    config, validation = attempt.config, prepared.validation
    size = checkpoint_size(prepared.model, config)
    budget = StopBudget(size)
    stopper = Stopper(attempt, budget, eval_history, resume_point.step)
    events = EventCallback(attempt, len(validation), resume_point.unlogged)
    checkpoints = CheckpointCallback(
        attempt, prepared.conditions, events, eval_history, budget, base_reference(prepared.files.portable_name)
    )
    method = create_method(
        config, chunked=prepared.fast_paths.logits == "trained",
        collate=collate_of(prepared.template, prepared.fast_paths), first=prepared.first_weights,
    )  # fmt: skip
    loop = TrainingLoop(
        model=prepared.model,
        args=training_arguments(config, attempt.folder, attempt.compute, evaluates=len(validation) > 0),
        method=method,
        loraplus_lr_ratio=config.lora.loraplus_lr_ratio,
        train_dataset=batched(prepared.train, config),
        eval_dataset=batched(validation, config) if len(validation) else None,
        callbacks=[events, stopper, Sampler(attempt, prepared.model, prepared.template), checkpoints],
        budget=budget,
        checkpoint_bytes=size,
        embedding_lr_ratio=config.embedding_learning_rate / config.learning_rate or 1.0,
        whole=_whole(prepared),
        masters=_masters(prepared.model, config),
        residual=prepared.residual,
    )
    return loop, stopper


def _whole(prepared: Prepared) -> WholeModel | None:
    """Return the whole model, if all of it is trained."""
    if isinstance(prepared.model, PeftModel):
        return None
    template = prepared.template
    return WholeModel(prepared.model, prepared.files, template.tokenizer, ends_of(template))


def _masters(model: PeftModel | PreTrainedModel, config: FineTuneConfig) -> MasterWeights | None:
    """Return the 32-bit copies of a model's weights, or of the layers that are trained beside an adapter."""
    if isinstance(model, PeftModel) and not config.lora.modules_to_save:
        return None
    named = model.named_parameters() if config.master_weights else ()
    saved = isinstance(model, PeftModel)
    return MasterWeights(model, [weight for name, weight in named if not saved or SAVED in name])


def _learn(
    loop: TrainingLoop, stopper: Stopper, eval_history: EvalHistory, folder: RunFolder, resume_point: ResumePoint
) -> None:
    """Train the remaining steps. There are none if an attempt ended between its last step and its final event."""
    if resume_point.step is None:
        loop.train()
        return
    checkpoint = folder.checkpoint(resume_point.step)
    loop.load(checkpoint)
    every = loop.state.eval_steps if loop.args.do_eval else 0
    if every and resume_point.step % every == 0 and resume_point.step not in eval_history.losses:
        loop.evaluate()  # a stop has aborted it
    if not (stopper.asked or stopper.exhausted or resume_point.step >= loop.state.max_steps):
        loop.train(resume_from_checkpoint=str(checkpoint))


def _evaluate_end(attempt: AttemptContext, loop: TrainingLoop, prepared: Prepared, eval_history: EvalHistory) -> bool:
    """Compute the validation loss of the result, if the last step had no evaluation.

    Return False if a stop aborts it.
    """
    step = loop.state.global_step
    if len(prepared.validation) and step not in eval_history.losses:
        attempt.log.phase("evaluate")
        loop.evaluate()
    return not len(prepared.validation) or step in eval_history.losses


def _choose(attempt: AttemptContext, loop: TrainingLoop, stopper: Stopper, eval_history: EvalHistory) -> int:
    """Choose the step whose adapter is kept, and report why, and why the run stopped early."""
    config, folder = attempt.config, attempt.folder
    best, step = eval_history.best_step, int(loop.state.global_step)
    if best is None:
        return step
    params = {"step": step, "best": best, "loss": round(eval_history.losses[best], 4)}
    if stopper.exhausted:
        attempt.warn(Problem.warning(Code.STOPPED_EARLY, patience=config.early_stopping_patience, **params))
    if not config.load_best_model_at_end or best == step:
        return step
    if rejected := verify_checkpoint(folder.checkpoint(best)):
        attempt.warn(rejected)
        return step
    loop.load_weights(folder.checkpoint(best))
    attempt.warn(Problem.warning(Code.BEST_ADAPTER, **params))
    return best


def _curve(history: RunHistory, step: int) -> str:
    """Return the picture of the curves up to a step."""
    train, validation = history.train, history.validation
    shown = [(curve.steps[: len(curve.up_to(step))], curve.up_to(step)) for curve in (train, validation)]
    return curve_picture(*shown)


def _save(attempt: AttemptContext, prepared: Prepared, step: int) -> None:
    history = attempt.history.refresh()
    losses, measured = history.train.up_to(step), history.validation.up_to(step)
    end = None if stops_by_itself(prepared.template) else (str(prepared.template.end), prepared.template.end_id)
    facts = CardFacts(
        base=prepared.files.portable_name, base_license=license_of(prepared.files), revision=prepared.files.revision, dtype=attempt.compute.dtype_name,
        train_rows=len(prepared.train), validation_rows=len(prepared.validation),
        dataset=prepared.dataset_name, dataset_sha256=prepared.conditions.dataset_sha256, steps=step,
        versions=versions(), hardware=hardware_name(attempt.compute.device), device=str(attempt.compute.device),
        threads=attempt.compute.threads, curve=_curve(history, step),
        loss_first=losses[0] if losses else None, loss_last=losses[-1] if losses else None,
        eval_loss=measured[-1] if measured else None, stop=end,
    )  # fmt: skip
    if whole := _whole(prepared):
        save_model(whole, attempt.folder.model, attempt.config, facts)
    else:
        tokenizer, files = prepared.template.tokenizer, prepared.files
        with prepared.residual.as_plain_lora() if prepared.residual else contextlib.nullcontext() as weights:
            save_adapter(prepared.model, tokenizer, files, attempt.folder.adapter, attempt.config, facts, weights)
