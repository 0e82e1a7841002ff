"""`python -m trainer`: jobs that run in a separate process.

    run FOLDER        train a prepared run folder, or evaluate a prepared evaluation; the supervisor starts this
    inspect FILE      add a file to the home as a dataset
    check FILE        report the problems of a file's rows without changing the home
    mix PARTS         mix several datasets into one
    edit DATASET      create a new dataset with fixed or removed rows
    chat CONFIG       answer chats with a run's model and its adapters; answers requests on stdin
    preview           show what a model sees of datasets; answers requests on stdin (trainer/tokens/preview.py)
    download MODEL    download a model
    look-up MODEL     query the Hub about a model, without its weights
    search TEXT       search the Hub for models
    import-adapter    take an adapter from elsewhere as a finished run
    compare-adapters  say how far the weights of two adapters are apart
    export FOLDER     export the adapter of a run folder

All but the first answer in JSON lines on stdout: {"progress": [done, total]}, then {"result": {...}} or
{"problems": [...]}. Those that read people's files have limits. Exit codes: 0 done, 1 the run failed, 2 bad input.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import json
import logging
import os
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from pydantic import BaseModel, TypeAdapter

from interfaces.chats import Answered, AnswerRequest, ChatModelSettings
from interfaces.disk import problem_of_os_error
from interfaces.errors import FineTuneError
from interfaces.events import Failed, Finished
from interfaces.folders import DatasetFolder, Home, RunFolder
from interfaces.job_folders import EvaluationFolder, ExportFolder, job_at
from interfaces.problems import BROKEN_RUN, Code, Problem
from interfaces.run_config import read_run_config
from interfaces.run_control import Assignment
from interfaces.texts import sentence
from interfaces.trainer_jobs import AddedDataset, HubModels, JobProgress, PreviewRequest, WrittenPath

app = typer.Typer(
    help="The trainer of Finetune Studio: each command runs one job.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
_SAYING = threading.Lock()
HomeOption = Annotated[Path | None, typer.Option("--home", help="Where runs, datasets and models are stored.")]
ColumnsOption = Annotated[str, typer.Option(help="Column mapping, as JSON.")]
SampleOption = Annotated[str, typer.Option(help="How plain text is split into rows: paragraph, line or document.")]


def main() -> None:
    """Entry of `python -m trainer`."""
    # No telemetry, and no progress bars of libraries in the log.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
    for chatty in ("httpx", "httpx2", "httpcore2"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    app()


@app.command()
def run(folder: Path, attempt: int = 1) -> None:
    """Train the run, or execute the job, in FOLDER. Started by the supervisor."""
    raise typer.Exit(_work(job_at(folder.absolute()), attempt))


@app.command(hidden=True)
def wait(ready: Path) -> None:
    """Preload the libraries, then train the run given on stdin. Started by a supervisor as a warm trainer."""
    import trainer.training.run  # noqa: F401  torch, transformers and peft: seconds

    gc.collect()
    gc.freeze()  # what is loaded stays: looking through it again would take a third of a second before step 1
    with contextlib.suppress(OSError):  # the warm trainer is no longer wanted
        ready.touch()
    line = sys.stdin.readline()
    if not line.strip():
        raise typer.Exit(0)
    assigned = Assignment.of(line)
    folder = job_at(assigned.folder)
    os.chdir(folder.path)
    log = os.open(folder.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for number in (1, 2):
        os.dup2(log, number)
    os.close(log)
    raise typer.Exit(_work(folder, assigned.attempt))


def _config_of(folder: RunFolder, attempt: int) -> dict[str, object]:
    """
    Raises:
        FineTuneError: the config is damaged; the run's final event reports it.
    """
    try:
        return read_run_config(folder)
    except FineTuneError as error:
        from trainer.training.event_log import EventLog

        with EventLog(folder.events, attempt) as events:
            events.append(Failed(step=0, problem=error.problems[0]))
        raise


def _work(folder: RunFolder, attempt: int) -> int:
    if isinstance(folder, EvaluationFolder):
        from trainer.evaluator import evaluate

        return _code_of(evaluate(folder, attempt))
    if isinstance(folder, ExportFolder):
        from trainer.exporter import export

        return _code_of(export(folder, attempt))
    from trainer.lora_trainer import LoRATrainer

    trainer = LoRATrainer(folder, attempt)
    trainer.stop.listen()
    try:
        result = trainer.train(_config_of(folder, attempt))
    except FineTuneError as error:
        print(error, file=sys.stderr)
        return 2
    return _code_of(Problem.model_validate(result["problem"]) if result["problem"] else None)


def _code_of(problem: Problem | None) -> int:
    """Report the problem of a run or an evaluation, and return the exit code."""
    if problem is None:
        return 0
    print(sentence(problem), file=sys.stderr)
    return 1 if problem.code in BROKEN_RUN else 2


@app.command()
def inspect(
    file: Annotated[str, typer.Argument(help="A file, or hub:NAME[:CONFIG[:SPLIT]].")],
    home: HomeOption = None,
    columns: ColumnsOption = "{}",
    sample_by: SampleOption = "paragraph",
    name: Annotated[str, typer.Option(help="Display name of the file.")] = "",
    move: Annotated[bool, typer.Option("--move", help="Move the file instead of copying it.")] = False,
) -> None:
    """Read all of FILE and add it as a dataset; invalid rows are counted and reported."""

    def job() -> BaseModel:
        from trainer.data.dataset import add_dataset
        from trainer.data.resolve import find_dataset

        _limit(file)
        place, chosen = Home.of(home, os.environ), json.loads(columns)
        if file.startswith("hub:"):
            return AddedDataset(dataset=find_dataset(place, file, chosen, _print_update).id)
        return AddedDataset(dataset=add_dataset(place, Path(file), chosen, sample_by, name, _print_update, move).id)

    _answer(job, Path(file))


@app.command("hub-splits")
def hub_splits(reference: Annotated[str, typer.Argument(help="hub:NAME[:CONFIG]")]) -> None:
    """List the configs and splits of a Hub dataset, with its first rows."""
    from trainer.data.hub_dataset import hub_splits

    _answer(lambda: hub_splits(reference), Path(reference))


@app.command()
def check(
    file: Annotated[Path, typer.Argument(readable=False)], out: Path, columns: ColumnsOption = "{}",
    sample_by: SampleOption = "paragraph",
    against: Annotated[Path | None, typer.Option(help="A file with the training rows; rows that appear in both are reported.")] = None,
) -> None:  # fmt: skip
    """Read all of FILE, print a report, and write every problem to problems.jsonl in the folder OUT."""

    def job() -> BaseModel:
        from trainer.data.inspection import Inspection, groups_of

        _limit(str(file))
        for path in (file, against):
            if path is not None and not path.is_file():
                code = Code.FILE_UNREADABLE if path.exists() else Code.FILE_MISSING
                raise FineTuneError.of(code, path=str(path), reason="not_a_file")
        chosen = json.loads(columns)
        trained = groups_of(against, chosen, sample_by) if against else None
        return Inspection(file, DatasetFolder(out), chosen, sample_by, _print_update, trained=trained).run()

    _answer(job, file)


@app.command()
def dataset(request: Path, home: HomeOption = None) -> None:
    """Carry out the `DatasetRequest` in the file REQUEST: mix, change or divide datasets, or look for something."""

    def job() -> BaseModel:
        from interfaces.dataset_requests import DatasetRequest
        from trainer.data.requests import carry_out

        _limit("")
        asked: DatasetRequest = TypeAdapter(DatasetRequest).validate_json(request.read_bytes())
        return carry_out(Home.of(home, os.environ), asked, _print_update)

    _answer(job, request)


@app.command()
def preview(model: str, revision: str = "main", home: HomeOption = None) -> None:
    """Answer requests on stdin, one JSON object per line, about how MODEL sees the datasets."""
    from trainer.data.limits import PREVIEW_MEMORY, limit_memory

    place = Home.of(home, os.environ)
    previewer: Any = None

    def job(line: str) -> BaseModel:
        nonlocal previewer
        if previewer is None:
            from trainer.models.model_files import embeddings_of, find_tokenizer
            from trainer.tokens.preview import Previewer
            from trainer.tokens.tokenizer import load_template

            files = find_tokenizer(model, revision, place, _print_progress)
            limit_memory(PREVIEW_MEMORY)
            previewer = Previewer(place, load_template(files, model), embeddings_of(files))
        request: PreviewRequest = TypeAdapter(PreviewRequest).validate_python(json.loads(line))
        answer: BaseModel = previewer.answer(request, _print_progress)
        return answer

    for line in sys.stdin:
        with contextlib.suppress(typer.Exit):  # a problem is a valid answer; continue with the next request
            _answer(functools.partial(job, line), Path(model))


@app.command()
def chat(settings: Annotated[str, typer.Argument(help="A `ChatModelSettings`.")], home: HomeOption = None) -> None:
    """Answer chats with a model: requests on stdin, one JSON object per line, answers in files."""
    from trainer.evaluation.chat_requests import ChatRequests

    model: Any = None
    # At the end in the middle of loading, nobody waits for the model any more.
    requests = ChatRequests(sys.stdin, lambda: os._exit(0) if model is None else None)

    def load() -> BaseModel:
        nonlocal model
        place, chosen = Home.of(home, os.environ), ChatModelSettings.model_validate_json(settings)
        if chosen.gguf:
            from trainer.evaluation.llama_cpp import LlamaModel

            model = LlamaModel(Path(chosen.gguf), chosen.config, place, _print_progress)
        else:
            from trainer.evaluation.chat import ChatModel

            model = ChatModel(chosen.config, place, _print_progress)
        return Answered(turn=0)

    def answer(request: AnswerRequest) -> BaseModel:
        model.answer(request, lambda: requests.is_left(request))
        return Answered(turn=request.turn)

    _answer(load, Path("chat"))
    for request in requests:
        with contextlib.suppress(typer.Exit):  # a problem is a valid answer; continue with the next request
            _answer(functools.partial(answer, request), Path("chat"))


def _limit(file: str) -> None:
    from trainer.data.limits import INSPECT_MEMORY, limit_memory, limit_processor, processor_seconds

    limit_memory(INSPECT_MEMORY)
    size = Path(file).stat().st_size if Path(file).is_file() else 1 << 30
    limit_processor(processor_seconds(10 * size if file.lower().endswith(".gz") else size))


@app.command()
def download(model: str, revision: str = "main", home: HomeOption = None) -> None:
    """Download MODEL (a Hub id, or 'starter')."""

    def job() -> BaseModel:
        from trainer.models.model_files import find_model

        found = find_model(model, revision, Home.of(home, os.environ), _print_progress)
        return WrittenPath(path=str(found.path))

    _answer(job, Path(model))


@app.command("look-up")
def look_up_model(model: str, revision: str = "main") -> None:
    """Print the Hub's metadata for MODEL, without downloading its weights."""

    from trainer.models.hub_models import look_up

    _answer(lambda: look_up(model, revision), Path(model))


@app.command("search")
def search(text: str) -> None:
    """List models on the Hub whose names contain TEXT."""
    from trainer.models.hub_models import search_models

    _answer(lambda: HubModels(models=search_models(text)), Path(text))


@app.command("compare-adapters")
def compare_adapters(first: Path, second: Path) -> None:
    """Say whether the weights of two adapters are equal, or how far apart they are."""
    from trainer.artifacts.adapter_difference import difference_of

    _answer(lambda: difference_of(first, second), second)


@app.command("import-adapter")
def import_adapter(path: Path, folder: Path, model: str = "") -> None:
    """Take the adapter in PATH, a folder or a zip file, as the result of the new run folder FOLDER."""
    from trainer.artifacts.foreign_adapter import take_adapter
    from trainer.training.event_log import EventLog

    def job() -> BaseModel:
        _limit(str(path))
        run = RunFolder(folder)
        taken = take_adapter(path, run.adapter, model, run.home, _print_update)
        with EventLog(run.events, run.create_attempt().number) as events:
            events.append(Finished(step=0, adapter=run.adapter.name, peak_memory_bytes=0, seconds=0))
        return taken

    _answer(job, path)


@app.command()
def export(folder: Path, out: Annotated[Path, typer.Option(help="A .zip file, or a folder.")]) -> None:
    """Write the adapter of a run folder to OUT."""
    from trainer.artifacts.export import export_adapter

    def job() -> BaseModel:
        return WrittenPath(path=str(export_adapter(RunFolder(folder.absolute()), out)))

    _answer(job, out)


def _answer(job: Callable[[], BaseModel], place: Path) -> None:
    """Run a short job and print its result or its problems as one JSON line."""
    try:
        _print_line({"result": job().model_dump(mode="json")})
    except FineTuneError as error:
        _fail(*error.problems)
    except OSError as error:
        _fail(problem_of_os_error(error, place) or _unexpected(error, place))
    except MemoryError:
        _fail(Problem.error(Code.CHILD_OVER_LIMIT, path=place.name, reason="over_memory"))
    except Exception as error:
        logging.exception("Unexpected error")
        _fail(_unexpected(error, place))


def _unexpected(error: Exception, place: Path) -> Problem:
    first = (str(error).strip().splitlines() or [""])[0][:200]
    return Problem.error(Code.JOB_FAILED, reason=f"{type(error).__name__}: {first}", value=place.name)


def _fail(*problems: Problem) -> NoReturn:
    _print_line({"problems": [problem.model_dump(mode="json") for problem in problems]})
    for problem in problems:
        print(sentence(problem), file=sys.stderr)
    raise typer.Exit(2)


def _print_progress(done: int, total: int) -> None:
    _print_update(JobProgress(progress=(done, total)))


def _print_update(update: JobProgress) -> None:
    _print_line(update.model_dump(mode="json", exclude_defaults=True))


def _print_line(line: Mapping[str, object]) -> None:
    """Print one complete `JobLine`, because downloads report from several threads."""
    # Names in a file may contain lone surrogates, which readers of this line can't parse as JSON.
    text = json.dumps(line, ensure_ascii=False).encode("utf-8", "replace").decode()
    with _SAYING:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
