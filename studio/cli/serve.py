"""`finetune serve`: a run's result behind OpenAI's API, for trying it in one's own program."""

from __future__ import annotations

import os
import secrets
from typing import Annotated

import typer

from studio.cli.console import HomeOption, RunArgument, home_of, open_console

KEY = "FINETUNE_SERVE_KEY"
FIRST_PORT = 8000
serve_commands = typer.Typer()
_STARTED = """
    base URL   {url}
    API key    {told}
    model      {model}{file}

    from openai import OpenAI
    client = OpenAI(base_url="{url}", api_key={key})
    answer = client.chat.completions.create(model="{model}", messages=[{{"role": "user", "content": "Hello"}}])

Only programs on this machine can reach it, and they need the key. It answers one request after another;
for production, export the model and serve it with vLLM or llama.cpp. Ctrl-C stops it."""


@serve_commands.command()
def serve(
    run: RunArgument, home: HomeOption = None,
    port: Annotated[int | None, typer.Option("--port", min=1, max=65535, help="Port; default: the first free port starting at 8000.")] = None,
    checkpoint: Annotated[int | None, typer.Option("--checkpoint", metavar="STEP", min=0, help="Use the result of this checkpoint.")] = None,
    gguf: Annotated[bool, typer.Option("--gguf", help="Compute the newest exported GGUF file with llama.cpp, which is faster on a processor.")] = False,
    export: Annotated[int | None, typer.Option("--export", metavar="NUMBER", min=1, help="As --gguf, with the file of this export.")] = None,
) -> None:  # fmt: skip
    """Answer programs on this machine with a run's result: OpenAI's chat completions, with streaming.

    A key is made at each start; to keep one, set it in the environment variable FINETUNE_SERVE_KEY.
    """
    from interfaces.errors import FineTuneError
    from interfaces.problems import Code
    from studio.chat.serving import ServedModel, exported_gguf
    from studio.runs.state import find_run
    from studio.web.openai_api import openai_app
    from studio.web.server import bound_socket, run_app

    folder = find_run(home_of(home), run)
    own = os.environ.get(KEY, "")
    if own and not (own.isascii() and own.isprintable() and " " not in own):
        raise FineTuneError.of(Code.VALUE_INVALID, field=KEY, value="(not shown)", expected="plain_key")
    file = exported_gguf(folder, checkpoint, export) if gguf or export is not None else None
    served, key = ServedModel(folder, checkpoint, file), own or f"sk-{secrets.token_urlsafe(24)}"
    place = bound_socket("127.0.0.1", port, FIRST_PORT)
    try:
        with open_console(stderr=True).status("Loading the model ..."):
            served.load()
        url = f"http://127.0.0.1:{place.getsockname()[1]}/v1"
        told, code = (f"the value of {KEY}", f'os.environ["{KEY}"]') if own else (key, f'"{key}"')
        print(
            _STARTED.format(
                url=url, told=told, key=code, model=served.names[0], file=f"\n    file       {file}" if file else ""
            ),
            flush=True,
        )
        run_app(openai_app(served, key), place, served.close)
    finally:
        served.close()
