"""Answers the prompts of chats: one base model in memory, and adapters that are added when they are first asked for."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from pathlib import Path

from peft import LoraConfig, PeftModel, get_peft_model

from interfaces.chats import AnswerRequest, SpeakerRequest
from interfaces.config import FineTuneConfig
from interfaces.errors import FineTuneError
from interfaces.folders import Home
from trainer.artifacts.adapter import unusable
from trainer.evaluation.answer_file import Answer, AnswerWriter, prompt_ids
from trainer.evaluation.generation import generate_side_by_side
from trainer.models.base_model import load_model
from trainer.models.device import choose_compute
from trainer.models.model_files import find_model
from trainer.models.starter import Progress
from trainer.tokens.tokenizer import load_template

MOST_ADAPTERS = 8
"""Adapters kept in memory; the one that was used longest ago makes room."""
log = logging.getLogger(__name__)


class ChatModel:
    """A base model, as a run with this config loads it: the same files, template, number format, and device."""

    def __init__(self, config: FineTuneConfig, home: Home, progress: Progress) -> None:
        """Load the model.

        Raises:
            FineTuneError: the model can't be loaded.
        """
        files = find_model(config.model_name, config.model_revision, home, progress)
        self._template = load_template(files, config.model_name)
        self._base = load_model(files, config, choose_compute(config)).eval()
        self._model: PeftModel | None = None
        self._known: dict[str, str] = {}
        """The name of each loaded adapter by its folder, the one used last at the end."""
        self._loaded = 0

    def answer(self, request: AnswerRequest, leave: Callable[[], bool]) -> None:
        """Answer a turn for all speakers; each answer goes to its file, piece by piece. Errors are in the files too."""
        with contextlib.ExitStack() as stack:
            answers = []
            for speaker in request.speakers:
                file = stack.enter_context(Path(speaker.file).open("a", encoding="utf-8"))
                writer = AnswerWriter(file, request.turn)
                try:
                    answers.append(self._prepared(request, speaker, writer))
                except FineTuneError as error:
                    writer.failed(error.problems[0])
            if answers:
                generate_side_by_side(self._with_adapters(), self._template, answers, request.sampling, leave)

    def _prepared(self, request: AnswerRequest, speaker: SpeakerRequest, writer: AnswerWriter) -> Answer:
        """
        Raises:
            FineTuneError: the adapter can't be loaded, the template refuses the conversation, or it is too long.
        """
        adapter = self._adapter(Path(speaker.adapter)) if speaker.adapter else None
        positions = getattr(self._base.config.get_text_config(), "max_position_embeddings", None)
        ids = prompt_ids(self._template, request, speaker, positions)
        return Answer(ids, adapter, positions - len(ids) if positions else None, writer.text, writer.end)

    def _adapter(self, folder: Path) -> str:
        """Load the adapter in this folder unless it is loaded, and return its name.

        Raises:
            FineTuneError: it isn't there or doesn't fit the model.
        """
        key = f"{folder}:{_changed(folder)}"
        if key in self._known:
            self._known[key] = self._known.pop(key)
            return self._known[key]
        model = self._with_adapters()
        while len(self._known) >= MOST_ADAPTERS:
            model.delete_adapter(self._known.pop(next(iter(self._known))))
        self._loaded += 1
        name = f"adapter-{self._loaded}"
        try:
            model.load_adapter(str(folder), name, is_trainable=False)
        except Exception as error:  # damaged files can raise anything
            log.exception("The adapter can't be loaded")
            raise unusable(str(folder), "other_base", str(self._base.config.model_type)) from error
        self._known[key] = name
        return name

    def _with_adapters(self) -> PeftModel:
        """Return the model as one that takes adapters. Its own first adapter is never used."""
        if self._model is None:
            targets = next(name for name, module in self._base.named_modules() if hasattr(module, "in_features"))
            self._model = get_peft_model(self._base, LoraConfig(r=1, target_modules=[targets]), adapter_name="none")
        return self._model


def _changed(folder: Path) -> int:
    """Return what differs once the adapter is written again.

    Raises:
        FineTuneError: there is none.
    """
    try:
        return (folder / "adapter_model.safetensors").stat().st_mtime_ns
    except OSError as error:
        raise unusable(str(folder), "file_not_there", "adapter_model.safetensors") from error
