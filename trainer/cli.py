"""`python -m trainer`: what runs in a process of its own.

    train CONFIG      a run in this very process (notebooks, batch scripts)
    run FOLDER        a prepared run folder: what the supervisor starts
    inspect FILE      a file becomes a dataset of the home
    download MODEL    a model comes to this machine
    export FOLDER     the adapter, out of a run folder

`inspect`, `download` and `export` answer in JSON lines on stdout: {"progress": [done, total]}, then
{"result": {...}} or {"problems": [...]}. Exit codes: 0 done, 1 the run failed, 2 bad input.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
import yaml

from interfaces.config import FineTuneConfig, config_errors
from interfaces.disk import problem_of_os_error
from interfaces.folders import Home, RunFolder, write_json, write_text
from interfaces.problems import BROKEN_RUN, Code, FineTuneError, Problem
from interfaces.process import ProcessIdentity
from interfaces.sentences import sentence

app = typer.Typer(
    help="The trainer of Finetune Studio, one job a process.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
_SAYING = threading.Lock()
HomeOption = Annotated[Path | None, typer.Option("--home", help="Where runs, datasets and models lie.")]


def main() -> None:
    """Entry of `python -m trainer`."""
    # Nothing here phones home, and no bar of a library runs through the log.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    for chatty in ("httpx", "httpx2", "httpcore2"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    app()


@app.command()
def train(config: Path, home: HomeOption = None) -> None:
    """Train in this process. CONFIG is a YAML file with the dials; the run lies in the home like any other."""
    try:
        values = yaml.safe_load(config.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        _fail(Problem.error(Code.CONFIG_UNREADABLE, path=str(config), reason=str(error).splitlines()[0]))
    if not isinstance(values, dict):
        _fail(Problem.error(Code.CONFIG_UNREADABLE, path=str(config), reason="it holds no 'key: value' lines"))
    if errors := config_errors(values):
        _fail(*errors)
    checked = FineTuneConfig.model_validate(values)
    folder = Home.of(home, os.environ).create_run()
    attempt = folder.create_attempt()
    identity = ProcessIdentity.of(os.getpid())
    record = identity.to_record() if identity else None
    write_json(attempt.pid, {"supervisor": record, "trainer": record})
    write_text(folder.config, yaml.safe_dump(checked.model_dump(), sort_keys=False, allow_unicode=True))
    code = _train(folder, attempt.number)
    write_json(attempt.exit, {"attempt": attempt.number, "returncode": code, "signal": None})
    raise typer.Exit(code)


@app.command()
def run(folder: Path, attempt: int = 1) -> None:
    """Train the run that FOLDER describes. Started by the supervisor."""
    raise typer.Exit(_train(RunFolder(folder.absolute()), attempt))


def _train(folder: RunFolder, attempt: int) -> int:
    from trainer.lora_trainer import LoRATrainer

    trainer = LoRATrainer(folder, attempt)
    trainer.stop.listen()
    try:
        result = trainer.train(yaml.safe_load(folder.config.read_text(encoding="utf-8")))
    except FineTuneError as error:
        print(error, file=sys.stderr)
        return 2
    if result["problem"]:
        problem = Problem.model_validate(result["problem"])
        print(sentence(problem), file=sys.stderr)
        return 1 if problem.code in BROKEN_RUN else 2
    return 0


@app.command()
def inspect(file: Annotated[Path, typer.Argument(readable=False)], home: HomeOption = None) -> None:
    """Read FILE, and add it to the home's datasets when every row is good."""
    from trainer.dataset import add_dataset

    def job() -> dict[str, Any]:
        return {"dataset": add_dataset(Home.of(home, os.environ), file).id}

    _answer(job, file)


@app.command()
def download(model: str, revision: str = "main", home: HomeOption = None) -> None:
    """Bring MODEL (a Hub id, or 'starter') to this machine."""

    def job() -> dict[str, Any]:
        from trainer.model_files import find_model

        found = find_model(model, revision, Home.of(home, os.environ), _print_progress)
        return {"path": str(found.path), "revision": found.revision}

    _answer(job, Path(model))


@app.command()
def export(
    folder: Path, out: Annotated[Path, typer.Option(help="A .zip file, or a folder.")], to: str = "adapter"
) -> None:
    """Write the adapter of a run folder to OUT."""
    from trainer.export import export_adapter

    if to != "adapter":
        _fail(Problem.error(Code.VALUE_INVALID, field="--to", value=to, expected="should be 'adapter'"))

    def job() -> dict[str, Any]:
        return {"path": str(export_adapter(RunFolder(folder.absolute()), out))}

    _answer(job, out)


def _answer(job: Callable[[], dict[str, Any]], place: Path) -> None:
    """Do a short job and print its result, or what is wrong, as one JSON line."""
    try:
        _say({"result": job()})
    except FineTuneError as error:
        _fail(*error.problems)
    except OSError as error:
        _fail(problem_of_os_error(error, place) or _unexpected(error, place))
    except Exception as error:
        logging.exception("An unexpected end")
        _fail(_unexpected(error, place))


def _unexpected(error: Exception, place: Path) -> Problem:
    first = (str(error).strip().splitlines() or [""])[0][:200]
    return Problem.error(Code.UNEXPECTED, reason=f"{type(error).__name__}: {first}", path=str(place))


def _fail(*problems: Problem) -> NoReturn:
    _say({"problems": [problem.model_dump(mode="json") for problem in problems]})
    for problem in problems:
        print(sentence(problem), file=sys.stderr)
    raise typer.Exit(2)


def _print_progress(done: int, total: int) -> None:
    _say({"progress": [done, total]})


def _say(record: dict[str, Any]) -> None:
    """One JSON line, whole: downloads report from several threads."""
    with _SAYING:
        sys.stdout.write(json.dumps(record) + "\n")
        sys.stdout.flush()
