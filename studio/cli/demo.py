"""A complete run on the sample data, through the same manager, supervisor, and trainer as any run."""

from __future__ import annotations

from rich.console import Console

from interfaces.folders import RunFolder
from interfaces.history import RunHistory
from studio.cli.attach import attach, launch_or_wait, tell_next
from studio.datasets.library import ensure_dataset
from studio.datasets.sample import demo_config, questions
from studio.finetune_manager import FinetuneManager
from studio.runs.state import RunState, run_state


def is_right(answer: str, expect: list[str]) -> bool:
    """Return whether the answer contains every expected piece, ignoring case."""
    return all(piece.lower() in answer.lower() for piece in expect)


def run_demo(manager: FinetuneManager, console: Console) -> int:
    """Train, compare answers, and print the result. Return the exit code."""
    config = demo_config()
    console.print(
        "Fine-tuning the starter model on facts about a made-up product: 100 rows, one or two minutes on two cores."
    )
    run_id = manager.create_task({**config, "dataset": ensure_dataset(manager.home, str(config["dataset"]))})
    folder = manager.home.run(run_id)
    console.print(f"Run [bold]{run_id}[/]")
    launch_or_wait(manager, folder, console, wait=True)
    code = attach(manager, folder, console, as_json=False, next_steps=False)
    if code == 0:
        _compare(folder, console)
        if run_state(folder) is RunState.FINISHED:
            tell_next(folder, console)
    return code


def _compare(folder: RunFolder, console: Console) -> None:
    """Compare the answers of the base model and the fine-tuned model, question by question."""
    answers: dict[str, dict[int, str]] = {}
    for sample in RunHistory(folder).refresh().samples:
        answers.setdefault(sample.prompt, {})[sample.step] = sample.answer
    right = {"base": 0, "tuned": 0}
    console.print("\n[bold]Ten prompts that were not in the training data[/]")
    for row in questions():
        reported = answers.get(row.question, {})
        console.print(f"\n{row.question}", markup=False, style="bold")
        for who, step in (("base", 0), ("tuned", max(reported, default=0))):
            answer = reported.get(step, "").replace("\n", " ")
            good = is_right(answer, row.expect)
            right[who] += good
            console.print(f"  {who:5} {'correct' if good else 'wrong'}  {answer[:150]}", markup=False)
    console.print(f"\nCorrect answers: base {right['base']} of 10, fine-tuned {right['tuned']} of 10.")
