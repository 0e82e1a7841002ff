"""Chats with runs: who may answer together, asking, stopping, and what a page shows of a chat."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from pydantic import BaseModel

from interfaces.chats import MOST_SPEAKERS, AnswerRequest, Question, Speaker, SpeakerRequest
from interfaces.config import FineTuneConfig
from interfaces.errors import FineTuneError
from interfaces.folders import Home, RunFolder
from interfaces.problems import Code, Problem
from interfaces.run_config import generates, read_run_config, require_answers
from interfaces.run_records import RunMeta, is_whole_model, result_folder
from studio.chat.children import Asked, ChatChildren, ChildState
from studio.chat.folder import ChatFolder, SpeakerName, TurnSoFar
from studio.runs.state import named_run

log = logging.getLogger(__name__)
_OF_THE_BASE = (
    "model_name", "model_revision", "load_in_8bit", "load_in_4bit", "bf16", "fp16", "device", "cpu_threads",
)  # fmt: skip
"""The settings on which the base model in memory depends."""


class ChatState(BaseModel):
    """What a page shows of a chat. `turns` are those from the requested number on."""

    chat: str
    speakers: list[SpeakerName]
    turns: list[TurnSoFar]
    busy: bool
    children: list[ChildState]


class Chats:
    """All chats of one home."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self.children = ChatChildren(home)
        self._guard = threading.Lock()
        self._busy: dict[str, list[Asked]] = {}
        """The requests of each chat that is answering."""

    def create(self, speakers: Sequence[Speaker]) -> ChatFolder:
        """Begin a chat.

        Raises:
            FineTuneError: there are none or too many, or one of them has nothing to answer with.
        """
        if not 1 <= len(speakers) <= MOST_SPEAKERS:
            raise FineTuneError.of(Code.VALUE_INVALID, field="speakers", value=len(speakers), expected="one_to_three")
        for speaker in speakers:
            loaded_for(self._home, speaker)
        return ChatFolder.create(self._home, [self._named(speaker) for speaker in speakers])

    def ask(self, chat: str, question: Question) -> None:
        """Add a turn. The answers come in a thread; read them with `state`.

        Raises:
            FineTuneError: the chat doesn't exist, or is answering.
        """
        folder = ChatFolder.named(self._home, chat)
        with self._guard:
            if chat in self._busy:
                raise FineTuneError.of(Code.CHAT_BUSY)
            self._busy[chat] = []
        try:
            speakers = folder.speakers()
            requests = [self._request(folder, place, one.speaker, question) for place, one in enumerate(speakers)]
            turn = folder.ask(question).turn
            threading.Thread(target=self._answer, args=(folder, turn, question, requests), daemon=True).start()
        except BaseException:
            self._busy.pop(chat, None)
            raise

    def stop(self, chat: str) -> None:
        """Stop the answers of a chat; what has been written stays.

        Raises:
            FineTuneError: the chat doesn't exist.
        """
        ChatFolder.named(self._home, chat)
        for asked in list(self._busy.get(chat, [])):
            asked.leave()

    def prepare(self, speaker: Speaker) -> None:
        """Load the model of a speaker, so that the first answer comes sooner. An error is reported when it is asked."""
        try:
            config, _ = loaded_for(self._home, speaker)
        except FineTuneError:
            if not generates(self._run(speaker)):
                return
            config = base_of(self._run(speaker))

        def load() -> None:
            with contextlib.suppress(FineTuneError):
                self.children.answer(config, None)

        if not self.children.has(config):
            threading.Thread(target=load, daemon=True).start()

    def state(self, chat: str, start: int = 1) -> ChatState:
        """
        Raises:
            FineTuneError: the chat doesn't exist.
        """
        folder = ChatFolder.named(self._home, chat)
        busy = chat in self._busy  # before reading: what ends meanwhile is seen by the next look
        turns = [turn for turn in folder.turns() if turn.turn.turn >= start]
        return ChatState(
            chat=chat, speakers=folder.speakers(), turns=turns, busy=busy, children=self.children.states()
        )  # fmt: skip

    def close(self) -> None:
        self.children.close()

    def _run(self, speaker: Speaker) -> RunFolder:
        return named_run(self._home, speaker.run)

    def _named(self, speaker: Speaker) -> SpeakerName:
        """
        Raises:
            FineTuneError: the config of the run can't be read.
        """
        folder = self._run(speaker)
        name = RunMeta.of(folder).name or folder.id
        return SpeakerName(speaker=speaker, run_name=name, model=base_of(folder).model_name)

    def _request(
        self, folder: ChatFolder, place: int, speaker: Speaker, question: Question
    ) -> tuple[FineTuneConfig, int, SpeakerRequest]:
        config, adapter = loaded_for(self._home, speaker)
        asked = SpeakerRequest(
            file=str(folder.answers(place)), adapter=adapter, messages=folder.conversation(place, question)
        )
        return config, place, asked

    def _answer(
        self, folder: ChatFolder, turn: int, question: Question,
        requests: Sequence[tuple[FineTuneConfig, int, SpeakerRequest]],
    ) -> None:  # fmt: skip
        """Let each base model's child answer for its speakers; children work at the same time."""
        bases: dict[str, list[tuple[FineTuneConfig, int, SpeakerRequest]]] = {}
        for request in requests:
            bases.setdefault(request[0].model_dump_json(), []).append(request)
        asked = {base: Asked() for base in bases}
        self._busy[folder.id] = list(asked.values())
        try:
            with ThreadPoolExecutor(len(bases)) as pool:
                for base, group in bases.items():
                    pool.submit(self._answer_of, folder, turn, question, group, asked[base])
        finally:
            self._busy.pop(folder.id, None)

    def _answer_of(
        self, folder: ChatFolder, turn: int, question: Question,
        group: Sequence[tuple[FineTuneConfig, int, SpeakerRequest]], asked: Asked,
    ) -> None:  # fmt: skip
        request = AnswerRequest(
            turn=turn, speakers=[one for _, _, one in group], plain=question.plain, sampling=question.sampling
        )
        problem = Problem.error(Code.CHILD_CLOSED, path="chat")
        try:
            self.children.answer(group[0][0], request, asked)
        except FineTuneError as error:
            problem = error.problems[0]
        except Exception as error:
            log.exception("The answer failed")
            problem = Problem.error(Code.JOB_FAILED, reason=type(error).__name__, value="chat")
        answers = folder.turns()[turn - 1].answers
        for _, place, _ in group:
            if answers[place].end is None:
                with contextlib.suppress(OSError):  # a full disk: the page says that there is no end
                    folder.end(place, turn, None if asked.left else problem)


def base_of(folder: RunFolder) -> FineTuneConfig:
    """Return the settings with which the child loads the base model of a run.

    Raises:
        FineTuneError: the config of the run can't be read.
    """
    config = FineTuneConfig.model_validate(read_run_config(folder))
    return FineTuneConfig(dataset="chat", **{name: getattr(config, name) for name in _OF_THE_BASE})


def loaded_for(home: Home, speaker: Speaker) -> tuple[FineTuneConfig, str]:
    """Return with which settings the child of a speaker loads its model, and the folder of the speaker's adapter.

    That is empty for the base model, and for a whole model, which the child loads instead of its base.

    Raises:
        FineTuneError: there is no such run, or it has no such result.
    """
    folder = named_run(home, speaker.run)
    config = base_of(folder)
    if speaker.base:
        return config, ""
    require_answers(folder)
    place = result_folder(folder, speaker.step)
    if is_whole_model(place):
        return config.model_copy(update={"model_name": str(place), "model_revision": "main"}), ""
    return config, str(place)
