import io

from rich.console import Console

from interfaces.events import Evaluated, Event, Phase, Sampled, Started, Step, Warned
from interfaces.problems import Code, Problem
from studio.cli.progress import RunProgress


def reported(events: list[Event], terminal: bool = False) -> str:
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=200, highlight=False)
    with RunProgress(console) as progress:
        progress.show(events)
    return out.getvalue()


def step(number: int, total: int = 100) -> Step:
    return Step(
        step=number, total_steps=total, epoch=0.1, loss=2.5, learning_rate=1e-3, tokens=200, trained_tokens=2, seconds=2.0,
        memory_bytes=1_500_000_000,
    )  # fmt: skip


def test_long_run_without_terminal_prints_few_lines() -> None:
    text = reported([Phase(phase="train"), *(step(number) for number in range(1, 101))])
    lines = text.splitlines()
    assert lines[0] == "Training"
    assert 20 <= len(lines) <= 23
    assert "step 1/100  loss 2.5000  100 tokens/s  1.5 GB  3:18 left" in lines
    assert lines[-1].startswith("step 100/100")


def test_important_events_print_sentences() -> None:
    text = reported(
        [
            Started(run="r", model_name="starter", device="cpu", dtype="bfloat16", threads=2, resumed_from_step=7),
            Evaluated(step=10, loss=1.25, examples=3, seconds=1),
            Warned(problem=Problem.warning(Code.NO_VALIDATION, rows=1, split=0.05)),
        ]
    )
    assert "resuming from step 7" in text
    assert "step 10: validation loss 1.2500" in text
    assert "With 1 rows" in text


def test_sample_answers_are_printed_and_compared() -> None:
    answers = [Sampled(step=number, prompt="Say [1].", answer=f"answer {number}") for number in (0, 50, 100)]
    text = reported([answers[0], step(50), answers[1], step(100), answers[2]])
    assert "step 50: Say [1]. answer 50" in text
    assert "answer 0" not in text
    assert "answer 100" not in text


def test_a_terminal_gets_a_bar() -> None:
    assert "Training" in reported([Phase(phase="download", done=5, total=10, unit="bytes"), step(1)], terminal=True)
