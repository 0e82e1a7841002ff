"""Follows a run in the terminal: progress, the result, and the handling of Ctrl-C."""

from __future__ import annotations

import json
import sys

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from interfaces.errors import FineTuneError
from interfaces.events import Event, Stopped, Stopping
from interfaces.finetune import TrainingResult
from interfaces.folders import Home, RunFolder
from interfaces.history import RunHistory
from interfaces.problems import BROKEN_RUN, Code, Problem
from interfaces.run_config import Settings, generates
from interfaces.run_records import is_whole_model
from interfaces.texts import sentence, settings_words, size
from interfaces.validation import config_errors
from studio.cli.console import program_name
from studio.cli.progress import RunProgress, stopping_words
from studio.datasets.library import with_datasets
from studio.finetune_manager import FinetuneManager
from studio.processes.launcher import launcher_of
from studio.processes.trainer_child import download_model
from studio.runs.queue import wanted_device
from studio.runs.state import RunState, follow, interrupted_runs, run_state, summary_of
from studio.runs.supervised_trainer import result_of_run, wait_until_gone
from studio.runs.trash import delete_run


def start_run(
    manager: FinetuneManager, config: Settings, console: Console, as_json: bool, detach: bool, wait: bool,
    note: str = "",
) -> int:  # fmt: skip
    """Validate a config, create a run, and start it, attached or detached. Return the exit code.

    Raises:
        FineTuneError: as `begin_run`.
    """
    folder, interrupted = begin_run(manager, config, console, wait, note)
    if not (detach or interrupted):
        return attach(manager, folder, console, as_json)
    console.print(left_alone(folder))
    if as_json:
        print(json.dumps({"run": folder.id, "state": run_state(folder).value}))
    return 0


def begin_run(
    manager: FinetuneManager, config: Settings, console: Console, wait: bool, note: str = "", timing: bool = False
) -> tuple[RunFolder, bool]:
    """Validate a config, create a run, and start or queue it. Return the run and whether Ctrl-C came meanwhile.

    Raises:
        FineTuneError: the config has errors, the device is in use and `wait` is false, or the run can't be started.
        KeyboardInterrupt: Ctrl-C came before the start; nothing remains of the run.
    """
    if errors := config_errors(config):
        raise FineTuneError(*errors)
    if not wait:
        manager.queue.require_free(wanted_device(str(config.get("device", "auto"))))
    run_id = manager.create_task(with_datasets(manager.home, config), timing=timing)
    folder = manager.home.run(run_id)
    console.print(f"Run [bold]{run_id}[/]" + (f"  ({note})" if note else ""))
    try:
        launch_or_wait(manager, folder, console, wait)
    except KeyboardInterrupt:
        if not folder.is_waiting and launcher_of(folder.home).find(folder) is None:
            delete_run(folder)
            raise
        return folder, True
    except FineTuneError:
        if not folder.attempts():  # nothing was started, so nothing is left
            delete_run(folder)
        raise
    return folder, False


def left_alone(folder: RunFolder) -> str:
    """Describe what happens to a run that is no longer followed."""
    words = "It is queued" if folder.is_waiting else "It is running in the background"
    return f"{words}. 'finetune runs' shows it; 'finetune stop {folder.id}' stops it."


def launch_or_wait(manager: FinetuneManager, folder: RunFolder, console: Console, wait: bool) -> None:
    """Start a run or queue it.

    Raises:
        FineTuneError: the device is in use and `wait` is false, or the run can't be started.
    """
    manager.launch(folder.id)
    place = manager.queue.place_of(folder)
    if place is None:
        return
    if not wait:  # another run took the device after the check
        try:
            manager.queue.cancel(folder)
        except FineTuneError:  # it has started meanwhile
            return
        manager.queue.require_free(place.device)
        first = next((one.run for one in manager.queue.waiting()), folder.id)  # it is about to start
        raise FineTuneError.of(Code.DEVICE_BUSY, device=place.device, run=first)
    holder = manager.queue.holder_of(place.device)
    if manager.queue.paused:
        reason = "the queue is paused; 'finetune queue resume' resumes it"
    else:
        reason = f"{place.device} is in use by {holder.id if holder else 'another run'}. The run starts automatically, even if this terminal is closed"
    console.print(f"Position {place.position} in the queue: {reason}.")


def attach(
    manager: FinetuneManager,
    folder: RunFolder,
    console: Console,
    as_json: bool,
    since: int = 1,
    next_steps: bool = True,
) -> int:
    """Follow a run to its end, print the result, and return the exit code. Skip events of attempts before `since`."""
    history = RunHistory(folder)
    try:
        with RunProgress(console, live=not as_json) as progress:
            for events in follow(history):
                if folder.is_waiting:
                    progress.wait()
                    manager.queue.tend()
                new = [event for event in events if event.attempt >= since]
                if as_json:
                    _print_events(new)
                else:
                    progress.show(new)
    except KeyboardInterrupt:
        if not _stop_on_interrupt(manager, folder, console):
            return 0
        wait_for_end(folder, console)
    code = _tell_result(history, console, as_json)
    if next_steps and not as_json and run_state(folder) is RunState.FINISHED:
        tell_next(folder, console)
    return code


def _print_events(events: list[Event]) -> None:
    for event in events:
        print(event.model_dump_json(exclude_none=True), flush=True)


def _stop_on_interrupt(manager: FinetuneManager, folder: RunFolder, console: Console) -> bool:
    """Ask what to do on Ctrl-C. Return True to stop and save, False to detach (always without a terminal)."""
    waits = folder.is_waiting
    detached = f"\nDetached. {left_alone(folder)}"
    question = (
        "Stop (remove it from the queue), or detach and leave it queued?"
        if waits
        else "Stop and save, or detach and keep it running?"
    )
    if not (sys.stdin.isatty() and console.is_terminal):
        console.print(detached)
        return False
    try:
        answer = console.input(f"\n{question} \\[s/D] ").strip().lower()
    except (KeyboardInterrupt, EOFError):
        answer = ""
    if answer not in ("s", "stop"):
        console.print(detached)
        return False
    try:
        manager.request_stop(folder.id)
        if not waits:
            console.print("Stopping after this batch and saving...")
    except FineTuneError:
        pass  # it ended meanwhile: attach() prints its result
    return True


def wait_for_end(folder: RunFolder, console: Console) -> RunState:
    """Wait until a run has ended and its processes are gone, and print the expected time. Return the final state."""
    attempt = len(folder.attempts())
    for events in follow(RunHistory(folder)):
        for event in events:
            if isinstance(event, Stopping) and event.attempt == attempt:
                console.print(stopping_words(event))
    wait_until_gone(folder)
    return run_state(folder)


def _tell_result(history: RunHistory, console: Console, as_json: bool) -> int:
    """Print the result and return the exit code, after the run has freed its memory and its device."""
    folder = history.folder
    wait_until_gone(folder)
    result = result_of_run(history)
    summary_of(folder, {folder.id: history})  # written once, for the lists
    if as_json:
        left_out = ("schema_version", "steps", "eval_loss", "seconds", "problem")
        print(json.dumps({key: value for key, value in result.items() if key not in left_out}), flush=True)
    if result["problem"]:
        problem = Problem.model_validate(result["problem"])
        console.print(f"[red]Failed.[/] {escape(sentence(problem))}")
        if problem.change:
            console.print(
                f"'finetune retry {folder.id} --apply-fix' runs it again with {settings_words(problem.change)}."
            )
        return 1 if problem.code in BROKEN_RUN else 2
    if result["state"] in ("interrupted", "failed"):
        console.print(
            f"The run ended without a final report. 'finetune resume {folder.id}' continues from its last checkpoint, if it has one."
        )
        return 1
    if not as_json:
        _print_summary(history, result, console)
    return 0


def _print_summary(history: RunHistory, result: TrainingResult, console: Console) -> None:
    first, last = result["train_loss_first"], result["train_loss_last"]
    if first is not None and last is not None:
        console.print(
            f"Loss: {first:.4f} at the first step, {last:.4f} at the last of {result['steps']} steps ({last / first - 1:+.0%})."
        )
    if result["eval_loss"] is not None:
        console.print(f"Validation loss: {result['eval_loss']:.4f}.")
    if result["tokens_per_second"]:
        memory = size(result["peak_memory_bytes"] or 0)
        console.print(
            f"{result['tokens_per_second']:.0f} tokens/s, {memory} peak memory, {result['seconds']:.0f} s in total."
        )
    folder = history.folder
    if not folder.attempts():
        console.print(f"Removed from the queue. 'finetune resume {folder.id}' starts it.")
    elif result["state"] == "stopped":
        resumable = isinstance(history.ending, Stopped) and history.ending.resumable
        console.print("Stopped." + (f" 'finetune resume {folder.id}' continues from here." if resumable else ""))
    if result["adapter"]:
        console.print(f"{'Model' if is_whole_model(folder.result) else 'Adapter'}: {result['adapter']}")


def tell_next(folder: RunFolder, console: Console) -> None:
    """Print the next steps for a result."""
    exported = ("adapter.zip", "export the adapter; its README.md explains how to load it")
    if is_whole_model(folder.result):
        exported = ("model.gguf --to gguf", "export the model for llama.cpp, Ollama and LM Studio")
    steps = {
        f"{program_name()} export {folder.id} --out {exported[0]}": exported[1],
        f"{program_name()} continue {folder.id} --set num_train_epochs=1": "continue training, as a new run",
        f"{program_name()} studio": "view the loss curve and the answers in the browser, or train on your own data",
        f"{program_name()} train my-run.yaml": "train on your own data in the terminal; README.md has an example config",
    }
    console.print("\n[bold]Next steps[/]")
    if not generates(folder):
        del steps[f"{program_name()} continue {folder.id} --set num_train_epochs=1"]
    for command, what in steps.items():
        console.print(f"  {command}\n      {what}", markup=False)


def tell_interrupted(home: Home) -> None:
    """Offer to resume runs that a power loss or a kill interrupted."""
    for run in interrupted_runs(home):
        print(
            f"Run {run.id} was interrupted at step {run.step}. Resume it with 'finetune resume {run.id}' or in the browser."
        )


def download_with_bar(home: Home, model: str, console: Console) -> str:
    """Fetch a model with a progress bar; returns its folder.

    Raises:
        FineTuneError: the model can't be downloaded.
    """
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=30), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(f"Downloading {model}", total=None)

        def show(done: int, total: int) -> None:
            # After the last byte, unpacking the starter takes as long as the download.
            words = f"Downloading {model}" if done < total else f"Unpacking {model}"
            bar.update(task, description=words, completed=done, total=total)

        if not console.is_terminal:
            console.print(
                f"Downloading {model} (only once; it is stored in {home.models if model == 'starter' else 'the Hugging Face cache'})"
            )
        return str(download_model(home.path, model, show))
