"""`finetune data`: look at files and datasets before anything is trained. The same children as behind the pages.

Exit codes of `check`: 0 clean, 1 invalid rows or suspicious, 2 the file can't be read at all.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from studio.cli.console import HomeOption, JsonOption, expanded, home_of

if TYPE_CHECKING:
    from pydantic import BaseModel

    from interfaces.folders import Home
    from interfaces.trainer_jobs import JobProgress, OnProgress
    from studio.processes.trainer_child import Previews

Answer = TypeVar("Answer", bound="BaseModel")

data = typer.Typer(help="Check and manage datasets.", no_args_is_help=True)
FileArgument = Annotated[
    str,
    typer.Argument(
        metavar="FILE", help="A file, a dataset in the library, or hub:NAME[:CONFIG[:SPLIT]].", callback=expanded
    ),
]
DatasetArgument = Annotated[
    str, typer.Argument(metavar="DATASET", help="A dataset's id, the start of its id, or its name.")
]
ColumnOption = Annotated[
    list[str] | None, typer.Option("--column", metavar="USE=NAME", help="Which column to use as prompt, completion, messages, text, system, input, tools, ...; may be repeated.")
]  # fmt: skip
SampleOption = Annotated[
    str,
    typer.Option(
        "--sample-by",
        "--table",
        help="How plain text is split into examples (paragraph, line or document); for a workbook or database, the sheet or table to read.",
    ),
]
ModelOption = Annotated[str, typer.Option("--model", help="A Hub id, a folder, or 'starter'.", callback=expanded)]


@data.command()
def check(
    file: FileArgument, as_json: JsonOption = False, column: ColumnOption = None, sample_by: SampleOption = "paragraph",
    against: Annotated[
        Path | None, typer.Option("--against", metavar="TRAIN_FILE", help="Also report rows that appear in this file.", callback=expanded)
    ] = None,
    home: HomeOption = None,
) -> None:  # fmt: skip
    """Check every row of FILE and report errors and warnings by line and field."""
    from interfaces.dataset_records import DatasetReport
    from interfaces.folders import DatasetFolder
    from studio.cli.data_report import print_report, tell_report
    from studio.datasets.library import describe
    from studio.processes.trainer_child import inspect_seconds, read_size, run_trainer

    with tempfile.TemporaryDirectory(prefix="finetune-check-") as place:
        if file.startswith("hub:") or not Path(file).exists():
            known = home_of(home)
            dataset = _added(known, file, column, sample_by, quiet=as_json)
            folder = known.dataset(dataset)
            report: DatasetReport = describe(known, dataset)
        else:
            folder = DatasetFolder(Path(place))
            options = ["--columns", json.dumps(_columns(column)), "--sample-by", sample_by]
            options += ["--against", str(against.absolute())] if against else []
            size = sum(read_size(path) for path in (Path(file), against) if path is not None)
            arguments = ["check", *options, "--", str(Path(file).absolute()), place]
            with _Bar(quiet=as_json) as tell:
                report = run_trainer(arguments, DatasetReport, tell, inspect_seconds(size), Path(file).name)
        if as_json:
            print_report(folder, report)
        else:
            tell_report(folder, report)
    sys.exit(1 if report.valid < report.rows else 0)


@data.command()
def preview(
    file: FileArgument, model: ModelOption, row: Annotated[int, typer.Option("--row", min=1, help="Row number, starting at 1.")] = 1,
    max_length: Annotated[int, typer.Option("--max-length", min=16)] = 1024, as_json: JsonOption = False,
    column: ColumnOption = None, sample_by: SampleOption = "paragraph", home: HomeOption = None,
) -> None:  # fmt: skip
    """Show one row exactly as MODEL will see it, token by token, with the tokens that are trained on highlighted."""
    from interfaces.dataset_records import ShownRow
    from interfaces.errors import FineTuneError
    from interfaces.problems import Code
    from interfaces.trainer_jobs import FileRowRequest, FindRequest, FoundRow, RowRequest
    from studio.cli.data_report import tell_row
    from studio.datasets.library import describe

    place = home_of(home)
    if Path(file).is_file():
        request: BaseModel = FileRowRequest(
            file=str(Path(file).absolute()),
            row=row,
            columns=_columns(column),
            sample_by=sample_by,
            max_length=max_length,
        )
    else:
        dataset = _added(place, file, column, sample_by, quiet=as_json)
        found = _asked(place, model, FindRequest(kind="row", row=row, dataset=dataset), FoundRow)
        if found.position is None:
            report = describe(place, dataset)
            raise FineTuneError.of(Code.ROW_NUMBER_UNKNOWN, path=report.name, value=row, rows=report.usable)
        request = RowRequest(dataset=dataset, position=found.position, max_length=max_length)
    shown = _asked(place, model, request, ShownRow)
    if as_json:
        print(json.dumps(shown.model_dump(mode="json"), ensure_ascii=True))
    else:
        tell_row(shown)


def _method_for(home: Home, dataset: str) -> str:
    """Return a method that trains on such rows, because pairs are counted as pairs."""
    from studio.datasets.library import describe

    unfit = describe(home, dataset).unfit_for("sft", "stop")
    return str((unfit.change or {}).get("method", "sft")) if unfit else "sft"


@data.command()
def stats(
    file: FileArgument, model: ModelOption, max_length: Annotated[int, typer.Option("--max-length", min=16)] = 1024,
    batch: Annotated[int, typer.Option("--batch", min=1, help="per_device_train_batch_size")] = 4,
    accumulation: Annotated[int, typer.Option("--accumulation", min=1, help="gradient_accumulation_steps")] = 4,
    share: Annotated[
        float, typer.Option("--validation-split", min=0, max=0.5, help="Fraction of the rows held out for validation.")
    ] = 0.05,
    budget: Annotated[int, typer.Option("--max-tokens-per-batch", min=0, help="Token budget with packing; 0 turns packing off.")] = 0,
    long_rows: Annotated[str, typer.Option("--long-rows", help="truncate, drop or split")] = "truncate",
    sample: Annotated[bool, typer.Option("--sample", help="Use a sample of a large file, for a quick answer.")] = False,
    as_json: JsonOption = False, column: ColumnOption = None, sample_by: SampleOption = "paragraph", home: HomeOption = None,
) -> None:  # fmt: skip
    """Show the token lengths of all rows for MODEL: rows truncated at max_length, tokens trained on, steps per epoch. Adds FILE to the library."""
    from interfaces.errors import FineTuneError
    from interfaces.problems import Code
    from interfaces.row_lengths import TokenStats
    from interfaces.trainer_jobs import StatsRequest
    from studio.cli.data_report import tell_stats

    if 0 < budget < max_length:
        wrong = {"value": str(budget), "expected": "at_least_max_length", "known": max_length}
        raise FineTuneError.of(Code.VALUE_INVALID, field="--max-tokens-per-batch", **wrong)
    place = home_of(home)
    dataset = _added(place, file, column, sample_by, quiet=as_json)
    request = StatsRequest(
        dataset=dataset, max_length=max_length, batch=batch, accumulation=accumulation, share=share, budget=budget,
        long_rows=long_rows, whole=not sample, method=_method_for(place, dataset),
    )  # fmt: skip
    with _Bar(quiet=as_json) as tell:
        found = _asked(place, model, request, TokenStats, tell, 6 * 3600.0)
    if as_json:
        print(json.dumps(found.model_dump(mode="json")))
    else:
        tell_stats(found)


@data.command("list")
def list_all(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List all datasets, newest first."""
    from studio.cli.data_report import plain
    from studio.datasets.library import list_datasets

    found = list_datasets(home_of(home))
    if as_json:
        print(json.dumps([summary.model_dump() for summary in found], indent=2, ensure_ascii=False))
        return
    if not found:
        print("No datasets yet. 'finetune data add FILE' adds one.")
    for one in found:
        version = f" v{one.version}" if one.versions > 1 else ""
        print(
            plain(
                f"{one.id}  {one.name}{version}  {one.format or '-'}  {one.valid} of {one.rows} rows valid  runs: {len(one.runs)}"
            )
        )


@data.command()
def add(
    file: FileArgument, column: ColumnOption = None, sample_by: SampleOption = "paragraph", home: HomeOption = None
) -> None:
    """Add a file or a Hub dataset to the library and print its id."""
    print(_added(home_of(home), file, column, sample_by))


@data.command()
def mix(
    parts: Annotated[
        list[str],
        typer.Argument(
            metavar="DATASET=WEIGHT ...", help="A weight of 2 uses each row twice; 0.5 uses half of the rows."
        ),
    ],
    home: HomeOption = None,
) -> None:
    """Mix several datasets into one and print its id."""
    from interfaces.errors import FineTuneError
    from interfaces.problems import Code
    from studio.datasets.library import find_dataset, mix_datasets

    place = home_of(home)
    weights: dict[str, float] = {}
    for part in parts:
        name, equals, weight = part.rpartition("=")
        try:
            dataset = find_dataset(place, name if equals else part).id
            weights[dataset] = weights.get(dataset, 0) + (float(weight) if equals else 1.0)
        except ValueError:
            raise FineTuneError.of(Code.VALUE_INVALID, field=part, value=weight, expected="ends_in_number") from None
    if not all(0 < weight <= 100 for weight in weights.values()):
        raise FineTuneError.of(Code.VALUE_INVALID, field="weight", value=str(weights), expected="above_0_at_most_100")
    print(mix_datasets(place, weights))


@data.command()
def rename(dataset: DatasetArgument, name: str, home: HomeOption = None) -> None:
    """Rename a dataset."""
    from studio.datasets.library import find_dataset, rename_dataset

    place = home_of(home)
    rename_dataset(place, find_dataset(place, dataset).id, name)


@data.command()
def delete(
    dataset: DatasetArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Delete it even if runs used it.")] = False,
    home: HomeOption = None,
) -> None:
    """Move a dataset to the trash."""
    from studio.datasets.library import delete_dataset, find_dataset

    place = home_of(home)
    folder = find_dataset(place, dataset)
    delete_dataset(place, folder.id, although_used=yes)
    print(f"Moved to {place.trash}.")


@data.command()
def download(
    dataset: DatasetArgument,
    out: Annotated[Path, typer.Option("--out", help="A .jsonl file.", callback=expanded)],
    home: HomeOption = None,
) -> None:
    """Write a dataset's rows in their normalized format."""
    import shutil

    from interfaces.errors import FineTuneError
    from interfaces.problems import Code
    from studio.datasets.library import find_dataset

    if out.exists():
        raise FineTuneError.of(Code.OUTPUT_EXISTS, path=str(out))
    out.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(find_dataset(home_of(home), dataset).examples, out)
    print(out)


def _columns(given: list[str] | None) -> dict[str, str]:
    from interfaces.errors import FineTuneError
    from interfaces.problems import Code

    columns = {}
    for pair in given or []:
        use, equals, name = pair.partition("=")
        if not equals:
            raise FineTuneError.of(Code.SETTING_MALFORMED, value=pair)
        columns[use.strip()] = name
    return columns


def _added(home: Home, file: str, column: list[str] | None, sample_by: str, quiet: bool = False) -> str:
    """Return the id of a dataset, after adding it if it is a file."""
    from studio.datasets.library import find_dataset
    from studio.processes.trainer_child import add_dataset

    if not file.startswith("hub:") and not Path(file).exists():
        from interfaces.errors import FineTuneError

        try:
            return find_dataset(home, file).id
        except FineTuneError:
            pass  # then it is a file that doesn't exist, which the trainer process reports
    with _Bar(quiet) as tell:
        return add_dataset(home.path, file, _columns(column), sample_by, tell=tell)


def _asked(
    home: Home,
    model: str,
    request: BaseModel,
    answer: type[Answer],
    tell: OnProgress | None = None,
    seconds: float = 600.0,
) -> Answer:
    global _previews  # one child answers all questions of a command
    from interfaces.trainer_jobs import ignore_progress
    from studio.processes.trainer_child import Previews

    if _previews is None:
        import atexit

        _previews = Previews(home.path)
        atexit.register(_previews.close)
    return _previews.ask(_model(model), "main", request, answer, tell or ignore_progress, seconds)


_previews: Previews | None = None


def _model(name: str) -> str:
    """Make a model folder absolute, because the child process runs in another directory."""
    return str(Path(name).absolute()) if Path(name).is_dir() else name


class _Bar:
    """Shows a progress bar on stderr while a child works, but not with --json."""

    def __init__(self, quiet: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal)
        self._task = self._bar.add_task("Reading", total=None)

    def __enter__(self) -> Any:
        self._bar.start()
        return self._tell

    def _tell(self, update: JobProgress) -> None:
        if update.progress is not None:
            done, total = update.progress
            rows = "Reading" if update.rows is None else f"{update.rows} rows"
            self._bar.update(self._task, completed=done, total=total or None, description=rows)

    def __exit__(self, *_: object) -> None:
        self._bar.stop()
