"""`/api/chats`: talking with runs. Answers are written to files by children; a page reads them from a turn on."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Body, Query
from pydantic import BaseModel

from interfaces.chats import AnswerPiece, End, Question, Speaker
from interfaces.folders import Home
from interfaces.run_config import read_run_config
from interfaces.run_records import has_result, result_steps
from interfaces.texts import sentence
from studio.chat.chats import Chats
from studio.chat.children import ChildState
from studio.chat.folder import SpeakerName
from studio.chat.questions import keep_question, kept_questions
from studio.chat.rendering import as_html
from studio.runs.state import named_run
from studio.web.errors import PlainRoute
from studio.web.routes.texts import Language


class ShownAnswer(BaseModel):
    """An answer as HTML and as text. `end` is None while it is written. `problem` is a sentence."""

    html: str
    text: str
    end: End | None
    tokens: int
    first_seconds: float | None
    tokens_per_second: float | None
    problem: str


class ShownTurn(BaseModel):
    """A prompt with the answer of each speaker."""

    turn: int
    prompt: str
    answers: list[ShownAnswer]


class ShownChat(BaseModel):
    """A chat; its turns are those from the requested one on."""

    chat: str
    speakers: list[SpeakerName]
    turns: list[ShownTurn]
    busy: bool
    children: list[ChildState]


class Choices(BaseModel):
    """Who can answer for a run, and the test questions: the run's sample prompts, and those that the user keeps."""

    run: str
    adapter: bool
    steps: list[int]
    questions: list[str]
    kept: list[str]


def chats_router(home: Home, chats: Chats) -> APIRouter:
    """The routes of one home's chats."""
    router = APIRouter(prefix="/api/chats", route_class=PlainRoute)

    @router.post("")
    def create(speakers: Annotated[list[Speaker], Body(embed=True)]) -> dict[str, str]:
        return {"chat": chats.create(speakers).id}

    @router.post("/prepare")
    def prepare(speaker: Annotated[Speaker, Body(embed=True)]) -> dict[str, bool]:
        named_run(home, speaker.run)
        chats.prepare(speaker)
        return {"asked": True}

    @router.get("/children")
    def read_children() -> list[ChildState]:
        return chats.children.states()

    @router.post("/free")
    def free() -> dict[str, bool]:
        chats.close()
        return {"freed": True}

    @router.post("/questions")
    def keep(question: Annotated[str, Body()], kept: Annotated[bool, Body()]) -> dict[str, list[str]]:
        """Keep a prompt as a test question, or no longer."""
        return {"questions": keep_question(home, question, kept)}

    @router.get("/choices")
    def read_choices(run: Annotated[str, Query(max_length=40)]) -> Choices:
        folder = named_run(home, run)
        prompts = read_run_config(folder).get("sample_prompts")
        return Choices(
            run=run, adapter=has_result(folder.result),
            steps=result_steps(folder),
            questions=[str(prompt) for prompt in prompts] if isinstance(prompts, list) else [],
            kept=kept_questions(home),
        )  # fmt: skip

    @router.get("/{chat}")
    def read_chat(chat: str, start: Annotated[int, Query(ge=1)] = 1, language: Language = "en") -> ShownChat:
        state = chats.state(chat, start)
        turns = [
            ShownTurn(
                turn=one.turn.turn, prompt=one.turn.prompt,
                answers=[_shown(answer, language, one.turn.plain) for answer in one.answers],
            )
            for one in state.turns
        ]  # fmt: skip
        return ShownChat(chat=chat, speakers=state.speakers, turns=turns, busy=state.busy, children=state.children)

    @router.post("/{chat}/ask")
    def ask(chat: str, question: Question) -> dict[str, bool]:
        chats.ask(chat, question)
        return {"asked": True}

    @router.post("/{chat}/stop")
    def stop(chat: str) -> dict[str, bool]:
        chats.stop(chat)
        return {"asked": True}

    return router


def _shown(answer: AnswerPiece, language: Literal["en", "zh"], plain: bool) -> ShownAnswer:
    """Speed is that after the first token: the prompt's time isn't the answer's."""
    after = answer.seconds - (answer.first_seconds or 0)
    return ShownAnswer(
        html="" if plain else as_html(answer.text), text=answer.text, end=answer.end, tokens=answer.tokens,
        first_seconds=answer.first_seconds,
        tokens_per_second=round((answer.tokens - 1) / after, 1) if answer.tokens > 1 and after > 0 else None,
        problem=sentence(answer.problem, language) if answer.problem else "",
    )  # fmt: skip
