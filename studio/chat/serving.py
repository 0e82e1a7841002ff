"""A run's result as something to be asked by programs: one answer after another, without a chat on the disk."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from uuid import uuid4

from interfaces.chats import AnswerPiece, AnswerRequest, Sampling, Speaker, SpeakerRequest
from interfaces.errors import FineTuneError
from interfaces.example import Message
from interfaces.exports import ExportRecord, ExportRequest
from interfaces.folders import RunFolder
from interfaces.job_folders import ExportFolder
from interfaces.problems import Code
from studio.chat.chats import loaded_for
from studio.chat.children import Asked, ChatChildren

LOOK_SECONDS = 0.03


class ServedModel:
    """One run's result, and beside it the base model; or a GGUF file alone. `names` are what each is called."""

    def __init__(self, run: RunFolder, step: int | None = None, gguf: Path | None = None) -> None:
        """
        Raises:
            FineTuneError: the run has no such adapter, or its config can't be read.
        """
        self.home, self._gguf = run.home, str(gguf or "")
        tuned = run.id if step is None else f"{run.id}-step-{step}"
        self._models = {tuned: loaded_for(self.home, Speaker(run=run.id, step=step))}
        if gguf is None:
            base = loaded_for(self.home, Speaker(run=run.id, base=True))
            self._models.setdefault(base[0].model_name, base)
        self._children = ChatChildren(self.home)
        self._place = tempfile.TemporaryDirectory(prefix="finetune-")

    @property
    def names(self) -> list[str]:
        return list(self._models)

    def load(self) -> None:
        """Load the model, so that the first answer comes sooner.

        Raises:
            FineTuneError: it can't be loaded, or the memory isn't sufficient.
        """
        config, _ = next(iter(self._models.values()))
        self._children.answer(config, None, gguf=self._gguf)

    def close(self) -> None:
        self._children.close()
        self._place.cleanup()

    async def answer(
        self, name: str, messages: list[Message], sampling: Sampling, stops: Sequence[str] = ()
    ) -> AsyncIterator[AnswerPiece]:
        """Yield an answer up to the first of its stop texts, piece by piece, the last one with its `end`.

        Whoever stops listening stops the answer.

        Raises:
            FineTuneError: the model can't be loaded, or the conversation can't be answered.
        """
        asked, written, until = Asked(), _AnswerFile(Path(self._place.name) / f"{uuid4().hex}.jsonl"), StopTexts(stops)
        config, adapter = self._models[name]
        speaker = SpeakerRequest(file=str(written.path), adapter=adapter, messages=messages)
        request = AnswerRequest(turn=1, speakers=[speaker], sampling=sampling)
        work = asyncio.create_task(asyncio.to_thread(self._children.answer, config, request, asked, self._gguf))
        try:
            end = None
            while end is None:
                over = work.done()  # before reading: what is written meanwhile is seen by the next look
                for piece in written.new():
                    if piece.problem is not None:
                        raise FineTuneError(piece.problem)
                    text, end = until.take(piece.text, piece.end is not None), piece.end
                    if until.reached and not asked.left:
                        asked.leave()
                    if text or end:
                        yield piece.model_copy(
                            update={"text": text, "end": "complete" if end and until.reached else end}
                        )
                if over and end is None:
                    await work
                    raise FineTuneError.of(Code.CHILD_CLOSED, path="chat")
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            asked.leave()
            # Until it is done, the child writes there. An error after the listener has left is nobody's.
            work.add_done_callback(lambda _: written.path.unlink(missing_ok=True))
            work.add_done_callback(lambda _: work.cancelled() or work.exception())


class StopTexts:
    """Cuts an answer before the first of some texts. What may be the beginning of one is held back."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops, self._held, self.reached = [stop for stop in stops if stop], "", False

    def take(self, text: str, is_last: bool) -> str:
        """Return what can be told now, given the next piece of the answer."""
        if self.reached:
            return ""
        held = self._held + text
        found = [at for at in map(held.find, self._stops) if at >= 0]
        if found:
            self.reached = True
            return held[: min(found)]
        kept = 0 if is_last else max((_overlap(held, stop) for stop in self._stops), default=0)
        told, self._held = held[: len(held) - kept], held[len(held) - kept :]
        return told


def _overlap(text: str, stop: str) -> int:
    """Return the length of the longest end of a text that begins `stop`."""
    return next((size for size in range(min(len(text), len(stop) - 1), 0, -1) if stop.startswith(text[-size:])), 0)


class _AnswerFile:
    """The file of one answer, of which each look reads only what is new."""

    def __init__(self, path: Path) -> None:
        self.path, self._at = path, 0

    def new(self) -> Iterator[AnswerPiece]:
        """Yield the pieces that are complete since the last look."""
        with contextlib.suppress(FileNotFoundError), self.path.open("rb") as file:
            file.seek(self._at)
            lines = file.read()
            whole = lines[: lines.rfind(b"\n") + 1]
            self._at += len(whole)
            for line in whole.splitlines():
                if line:
                    yield AnswerPiece.model_validate_json(line)


def exported_gguf(run: RunFolder, step: int | None, number: int | None = None) -> Path:
    """Return the newest GGUF file that was exported of a run's result, or of its checkpoint of this step.

    With `number`, it is the one of this export.

    Raises:
        FineTuneError: there is none.
    """
    known: dict[int, Path] = {}
    for folder in ExportFolder.all_of(run):
        with contextlib.suppress(FineTuneError):
            request, record = ExportRequest.of(folder), ExportRecord.of(folder)
            if record is not None and request.kind in ("gguf", "ollama") and request.step == step:
                weights = request.weights(Path(record.path))
                if weights.is_file():
                    known[folder.number] = weights
    if number is not None and number not in known:
        raise FineTuneError.of(Code.NO_GGUF_EXPORT, run=run.id, value=number, known=list(known))
    if known:
        return known[number or max(known)]
    raise FineTuneError.of(Code.NO_GGUF, run=run.id if step is None else f"{run.id} --checkpoint {step}")
