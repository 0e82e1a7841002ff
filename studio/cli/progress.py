"""Shows a run's progress: one live bar in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.text import Text

from interfaces.events import Evaluated, Event, Phase, Sampled, Started, Step, Stopping, Warned
from interfaces.history import Throughput
from interfaces.texts import sentence, size, texts

PLAIN_LINES = 20
"""The approximate number of lines for all steps without a terminal."""


class RunProgress:
    """Shows events as they arrive. Use it as a context manager."""

    def __init__(self, console: Console, live: bool = True) -> None:
        self._console = console
        self._is_live = live and console.is_terminal
        self._live = Progress(
            SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=30), _Amount(), TextColumn("{task.fields[more]}"),
            console=console, transient=True,
        )  # fmt: skip
        self._task = self._live.add_task("Starting", total=None, more="", unit="")
        self._phase = ""
        self._total_steps = 0
        self._throughput = Throughput()
        self._eval_loss: float | None = None
        self._training = False

    def __enter__(self) -> RunProgress:
        if self._is_live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_live:
            self._live.stop()

    def wait(self) -> None:
        """Show that the run is queued."""
        self._live.update(self._task, description="Queued")

    def show(self, events: list[Event]) -> None:
        """Show new events, oldest first."""
        for event in events:
            if isinstance(event, Started):
                self._live.update(self._task, description="Starting")
                text = f"{event.model_name} on {event.device}, {event.dtype}, {event.threads} threads"
                self._throughput.forget_after(event.resumed_from_step or 0)
                if event.resumed_from_step is not None:
                    text += f", resuming from step {event.resumed_from_step}"
                self._say(text)
            elif isinstance(event, Phase):
                self._show_phase(event)
            elif isinstance(event, Step):
                self._show_step(event)
            elif isinstance(event, Evaluated):
                self._eval_loss = event.loss
                self._say(f"step {event.step}: validation loss {event.loss:.4f}")
            elif isinstance(event, Sampled) and 0 < event.step < self._total_steps:
                self._say(f"step {event.step}: [bold]{escape(event.prompt)}[/] {escape(event.answer)}")
            elif isinstance(event, Stopping):
                self._say(stopping_words(event))
            elif isinstance(event, Warned):
                self._say(f"[yellow]Note:[/] {escape(sentence(event.problem))}")

    def _say(self, text: str) -> None:
        self._console.print(text, highlight=False)

    def _show_phase(self, event: Phase) -> None:
        words = texts("phase")[event.phase]
        if event.phase != self._phase:
            self._phase, self._training = event.phase, event.phase == "train"
            self._live.reset(self._task, total=event.total, description=words, more="", unit=event.unit)
            if not self._console.is_terminal:
                self._say(words)
        self._live.update(self._task, total=event.total, completed=event.done or 0, unit=event.unit)

    def _show_step(self, event: Step) -> None:
        self._phase, self._total_steps = "train", event.total_steps
        self._throughput.add(event.step, event.seconds, event.tokens)
        left = self._throughput.seconds_left(event.total_steps) or 0.0
        speed = event.tokens / event.seconds if event.seconds else 0.0
        more = f"loss {event.loss:.4f}  {speed:.0f} tokens/s  {size(event.memory_bytes)}  {_clock(left)} left"
        self._live.update(
            self._task, description="Training", total=event.total_steps, completed=event.step, more=more, unit="steps"
        )
        every = max(event.total_steps // PLAIN_LINES, 1)
        if not self._console.is_terminal and (
            event.step == 1 or event.step % every == 0 or event.step == event.total_steps
        ):
            self._say(f"step {event.step}/{event.total_steps}  {more}")


def stopping_words(event: Stopping) -> str:
    """Return the sentence with the time limit of a stop."""
    return f"Saving; done within {event.within_seconds:.0f} s."


class _Amount(ProgressColumn):
    """Done of total, in the phase's unit."""

    def render(self, task: Task) -> Text:
        if not task.total:
            return Text("")
        if task.fields["unit"] == "bytes":
            return Text(f"{size(task.completed)} of {size(task.total)}")
        return Text(f"{task.completed:.0f}/{task.total:.0f}")


def _clock(seconds: float) -> str:
    """Format seconds as 0:42, 12:05, or 3:10:00."""
    form = "%H:%M:%S" if seconds >= 3600 else "%M:%S"
    return time.strftime(form, time.gmtime(max(seconds, 0))).removeprefix("0")
