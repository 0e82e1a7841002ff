"""A run's result as something to be asked by programs: one answer after another, without a chat on the disk."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from interfaces.chats import AnswerPiece, AnswerRequest, Sampling, Speaker, SpeakerRequest
from interfaces.errors import FineTuneError
from interfaces.example import Message
from interfaces.exports import ExportRecord, ExportRequest
from interfaces.folders import RunFolder
from interfaces.job_folders import ExportFolder
from interfaces.problems import Code
from studio.chat.chats import adapter_of, base_of
from studio.chat.children import Asked, ChatChildren
from studio.chat.folder import lines_of

LOOK_SECONDS = 0.03


class ServedModel:
    """One run's result, and beside it the base model; or a GGUF file alone. `names` are what each is called."""

    def __init__(self, run: RunFolder, step: int | None = None, gguf: Path | None = None) -> None:
        """
        Raises:
            FineTuneError: the run has no such adapter, or its config can't be read.
        """
        self.home, self._config, self._gguf = run.home, base_of(run), str(gguf or "")
        tuned = run.id if step is None else f"{run.id}-step-{step}"
        self._adapters = {tuned: adapter_of(self.home, Speaker(run=run.id, step=step)) or ""}
        if gguf is None:
            self._adapters.setdefault(self._config.model_name, "")
        self._children = ChatChildren(self.home)

    @property
    def names(self) -> list[str]:
        return list(self._adapters)

    def load(self) -> None:
        """Load the model, so that the first answer comes sooner.

        Raises:
            FineTuneError: it can't be loaded, or the memory isn't sufficient.
        """
        self._children.answer(self._config, None, gguf=self._gguf)

    def close(self) -> None:
        self._children.close()

    async def answer(self, name: str, messages: list[Message], sampling: Sampling) -> AsyncIterator[AnswerPiece]:
        """Yield an answer piece by piece, the last one with its `end`. Whoever stops listening stops the answer.

        Raises:
            FineTuneError: the model can't be loaded, or the conversation can't be answered.
        """
        asked, place = Asked(), Path(tempfile.mkdtemp(prefix="finetune-"))
        file = place / "answer.jsonl"
        speaker = SpeakerRequest(file=str(file), adapter=self._adapters[name], messages=messages)
        request = AnswerRequest(turn=1, speakers=[speaker], sampling=sampling)
        work = asyncio.create_task(asyncio.to_thread(self._children.answer, self._config, request, asked, self._gguf))
        try:
            seen, end = 0, None
            while end is None:
                over = work.done()  # before reading: what is written meanwhile is seen by the next look
                for piece in lines_of(file, AnswerPiece)[seen:]:
                    seen, end = seen + 1, piece.end
                    if piece.problem is not None:
                        raise FineTuneError(piece.problem)
                    yield piece
                if over and end is None:
                    await work
                    raise FineTuneError.of(Code.CHILD_CLOSED, path="chat")
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            asked.leave()
            work.add_done_callback(
                lambda _: shutil.rmtree(place, ignore_errors=True)
            )  # the child writes there until then
            work.add_done_callback(lambda _: work.exception())  # after the listener has left, an error is nobody's


def exported_gguf(run: RunFolder, step: int | None) -> Path:
    """Return the newest GGUF file that was exported of a run's result, or of its checkpoint of this step.

    Raises:
        FineTuneError: there is none.
    """
    for folder in reversed(ExportFolder.all_of(run)):
        with contextlib.suppress(FineTuneError):
            request, record = ExportRequest.of(folder), ExportRecord.of(folder)
            if record is not None and request.kind in ("gguf", "ollama") and request.step == step:
                weights = request.weights(Path(record.path))
                if weights.is_file():
                    return weights
    raise FineTuneError.of(Code.NO_GGUF, run=run.id)
