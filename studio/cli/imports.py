"""`finetune import`: an adapter from elsewhere as a run."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from studio.cli.console import HomeOption, JsonOption, expanded, home_of, open_console

imports_commands = typer.Typer()


@imports_commands.command("import")
def import_adapter(
    path: Annotated[str, typer.Argument(help="An adapter's folder or zip file, as PEFT, Unsloth or LLaMA-Factory write it.", callback=expanded)],
    home: HomeOption = None, as_json: JsonOption = False,
    model: Annotated[str, typer.Option("--model", help="Its base model, if the adapter names none that is known here.")] = "",
    name: Annotated[str, typer.Option("--name", help="What the run is called. Default: the file's name.")] = "",
) -> None:  # fmt: skip
    """Take an adapter from elsewhere as a finished run: something to try, evaluate, export, or train further."""
    from pathlib import Path

    from interfaces.texts import sentence
    from studio.runs.imports import import_adapter

    with open_console(stderr=True).status("Reading the adapter ..."):
        folder, warnings = import_adapter(home_of(home), Path(path), model, name)
    for warning in warnings:
        print(sentence(warning), file=sys.stderr)
    print(json.dumps({"run": folder.id}) if as_json else folder.id)
