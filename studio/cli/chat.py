"""`finetune chat`: talk with the result of a run in the terminal, beside its base model if asked."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from studio.cli.console import HomeOption, JsonOption, RunArgument, home_of, open_console

if TYPE_CHECKING:
    from rich.console import Console

    from interfaces.chats import Question
    from studio.chat.chats import Chats
    from studio.chat.folder import TurnSoFar

LOOK_SECONDS = 0.05
chat_commands = typer.Typer()


@chat_commands.command()
def chat(
    run: RunArgument, home: HomeOption = None, as_json: JsonOption = False,
    base: Annotated[bool, typer.Option("--base", help="Also show the base model's answers.")] = False,
    checkpoint: Annotated[int | None, typer.Option("--checkpoint", metavar="STEP", help="Use the result of this checkpoint.")] = None,
    system: Annotated[str, typer.Option("--system", help="A system prompt.")] = "",
    plain: Annotated[bool, typer.Option("--plain", help="Continue the text, without the chat template.")] = False,
    temperature: Annotated[float, typer.Option("--temperature", min=0, max=5, help="0 always takes the most likely token.")] = 0.0,
    top_p: Annotated[float, typer.Option("--top-p", min=0.01, max=1, help="Sample from the most likely tokens with this total probability.")] = 1.0,
    max_new_tokens: Annotated[int, typer.Option("--max-new-tokens", min=1, max=8192, help="The longest answer, in tokens.")] = 256,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Makes a sampled answer repeatable.")] = 0,
) -> None:  # fmt: skip
    """Talk with a run's result. Each line of input is a prompt; Ctrl+C stops an answer, Ctrl+D ends the chat."""
    from interfaces.chats import Question, Sampling, Speaker
    from interfaces.errors import FineTuneError
    from studio.chat.chats import Chats
    from studio.runs.state import find_run

    place = home_of(home)
    folder = find_run(place, run)
    speakers = [Speaker(run=folder.id, step=checkpoint), *([Speaker(run=folder.id, base=True)] if base else [])]
    sampling = Sampling(temperature=temperature, top_p=top_p, max_new_tokens=max_new_tokens, seed=seed)
    console = open_console(stderr=as_json)
    chats = Chats(place)
    known = chats.create(speakers).id
    names = [folder.id if checkpoint is None else f"{folder.id}, step {checkpoint}", "base model"][: len(speakers)]
    try:
        while (prompt := _prompt(console)) is not None:
            if prompt.strip():
                question = Question(prompt=prompt, system=system, plain=plain, sampling=sampling)
                turn = _ask(chats, known, question, console, names, shown=not as_json)
                if as_json:
                    answers = [answer.model_dump(mode="json") for answer in turn.answers]
                    named = [{"speaker": name, **answer} for name, answer in zip(names, answers, strict=True)]
                    print(json.dumps({"prompt": prompt, "answers": named}, ensure_ascii=False), flush=True)
                for answer in turn.answers:
                    if answer.problem is not None:
                        raise FineTuneError(answer.problem)
    finally:
        chats.close()


def _prompt(console: Console) -> str | None:
    """Return the next line of input, or None at its end."""
    try:
        if sys.stdin.isatty():
            console.print("[bold]>[/] ", end="")
        line = sys.stdin.readline()
    except KeyboardInterrupt:
        return None
    return line.rstrip("\n") if line else None


def _ask(chats: Chats, chat: str, question: Question, console: Console, names: list[str], shown: bool) -> TurnSoFar:
    """Ask, and print the first answer while it is written, and then the others. Ctrl+C stops them."""
    chats.ask(chat, question)
    number, printed = len(chats.state(chat).turns), 0
    if shown and len(names) > 1:
        console.print(f"[bold]{names[0]}[/]")
    while True:
        with contextlib.suppress(KeyboardInterrupt):
            state = chats.state(chat, number)
            first = state.turns[0].answers[0]
            if shown and len(first.text) > printed:
                _write(first.text[printed:])
                printed = len(first.text)
            if not state.busy:
                break
            time.sleep(LOOK_SECONDS)
            continue
        chats.stop(chat)
    turn = chats.state(chat, number).turns[0]
    if shown:
        _write(turn.answers[0].text[printed:] + "\n")
        for name, answer in zip(names[1:], turn.answers[1:], strict=True):
            console.print(f"[bold]{name}[/]")
            _write(answer.text + "\n")
    return turn


def _write(text: str) -> None:
    """Print what a model says, without what would control the terminal."""
    sys.stdout.write("".join(one for one in text if one.isprintable() or one in "\n\t"))
    sys.stdout.flush()
