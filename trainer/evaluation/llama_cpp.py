"""A GGUF file in memory, computed by llama.cpp (the optional package xllamacpp), for proofs and for serving it."""

from __future__ import annotations

import json
import secrets
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.client import HTTPResponse
from pathlib import Path

from interfaces.chats import MOST_POSITIONS, AnswerRequest, Sampling
from interfaces.config import FineTuneConfig
from interfaces.errors import FineTuneError
from interfaces.files import read_json
from interfaces.folders import Home
from interfaces.problems import Code
from trainer.evaluation.answer_file import Answer, AnswerWriter, prompt_ids
from trainer.models.model_files import find_tokenizer
from trainer.models.starter import Progress
from trainer.tokens.tokenizer import load_template

try:
    import xllamacpp
except ImportError:  # an optional package
    xllamacpp = None

_SECONDS = 600.0
"""Between two tokens, or for a whole answer that isn't streamed."""


class LlamaServer:
    """llama.cpp's own server on a port of this machine, with a key that only this process knows."""

    def __init__(self, path: Path, positions: int = 0) -> None:
        """Load the file. `positions` limits the length of a conversation; 0 is the model's own.

        Raises:
            FineTuneError: the optional package isn't installed.
        """
        if xllamacpp is None:
            raise FineTuneError.of(Code.NO_LLAMA_CPP)
        settings = xllamacpp.CommonParams()
        settings.model.path = str(path)
        settings.n_ctx = positions
        settings.n_parallel = 1
        settings.port = 0
        settings.warmup = False
        self._key = secrets.token_urlsafe(24)
        settings.api_keys = [self._key]
        self._server = xllamacpp.Server(settings)

    @contextmanager
    def complete(self, ids: Sequence[int], settings: Mapping[str, object]) -> Iterator[HTTPResponse]:
        """Continue a prompt of token ids. Closing the response early ends the computation."""
        body = json.dumps({"prompt": list(ids), "return_tokens": True, **settings}).encode()
        head = {"Content-Type": "application/json", "Authorization": f"Bearer {self._key}"}
        asked = urllib.request.Request(f"{self._server.listening_address}/completion", body, head)  # noqa: S310  loopback
        with urllib.request.urlopen(asked, timeout=_SECONDS) as answer:  # noqa: S310
            yield answer


class LlamaModel:
    """Answers chats with a GGUF file, whose prompts are rendered and tokenized as in training."""

    def __init__(self, path: Path, config: FineTuneConfig, home: Home, progress: Progress) -> None:
        """Load the file, and the tokenizer of the base model that `config` names.

        Raises:
            FineTuneError: the file is gone, or the tokenizer can't be found.
        """
        if not path.is_file():
            raise FineTuneError.of(Code.FILE_MISSING, path=str(path))
        files = find_tokenizer(config.model_name, config.model_revision, home, progress)
        self._template = load_template(files, config.model_name)
        config_of_base = read_json(files.path / "config.json") or {}
        own = config_of_base.get("max_position_embeddings")
        self._positions = min(own, MOST_POSITIONS) if isinstance(own, int) else MOST_POSITIONS
        self._server = LlamaServer(path, self._positions)

    def answer(self, request: AnswerRequest, leave: Callable[[], bool]) -> None:
        """Answer a turn; there is one speaker, the file. The answer and its errors go to the speaker's file."""
        [speaker] = request.speakers
        with Path(speaker.file).open("a", encoding="utf-8") as file:
            writer = AnswerWriter(file, request.turn)
            try:
                ids = prompt_ids(self._template, request, speaker, self._positions)
            except FineTuneError as error:
                writer.failed(error.problems[0])
                return
            answer = Answer(ids, None, tell=writer.text, over=writer.end)
            with answer.timed():
                self._generate(answer, request.sampling, leave)

    def _generate(self, answer: Answer, sampling: Sampling, leave: Callable[[], bool]) -> None:
        settings = {
            "n_predict": sampling.max_new_tokens, "temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0,
            "min_p": 0.0, "seed": sampling.seed % 2**32, "stream": True,
        }  # fmt: skip
        with self._server.complete(answer.ids, settings) as lines:
            for line in lines:
                if not line.startswith(b"data: "):
                    continue
                piece = json.loads(line.removeprefix(b"data: "))
                if "error" in piece:
                    raise RuntimeError(str(piece["error"].get("message", ""))[:200])
                answer.count(piece["tokens_predicted"])
                answer.say(piece["content"])
                if piece.get("stop"):
                    answer.end = "length" if piece.get("stop_type") == "limit" else "complete"
                elif leave():
                    answer.end = "stopped"
                    return
