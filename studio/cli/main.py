"""`finetune`: the terminal commands. They use the same manager and supervisor as the pages, without gradio or torch.

Exit codes: 0 success, 1 run failed, 2 invalid input. The commands import what they need, so that `--help` is fast.
"""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from studio.cli.chat import chat_commands
from studio.cli.console import (
    ConfigArgument,
    DetachOption,
    HomeOption,
    JsonOption,
    SetOption,
    SourceOption,
    WaitOption,
    home_of,
    leave_unusable_proxies,
    manager_of,
    open_console,
    read_settings,
)
from studio.cli.data import data
from studio.cli.data_cleaning import cleaning
from studio.cli.estimate import estimate_commands
from studio.cli.evaluate import evaluate_commands
from studio.cli.export import export_commands
from studio.cli.imports import imports_commands
from studio.cli.models import models_commands
from studio.cli.queue import queue
from studio.cli.reproduce import reproduce_commands
from studio.cli.runs import runs_commands
from studio.cli.serve import serve_commands
from studio.cli.sweep import sweep

if TYPE_CHECKING:
    from interfaces.problems import Problem

app = typer.Typer(
    help="Fine-tune small language models on a single GPU or a laptop CPU.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
data.add_typer(cleaning)
app.add_typer(data, name="data")
app.add_typer(queue, name="queue")
app.add_typer(runs_commands)
app.add_typer(reproduce_commands)
app.add_typer(chat_commands)
app.add_typer(evaluate_commands)
app.add_typer(export_commands)
app.add_typer(imports_commands)
app.add_typer(serve_commands)
app.add_typer(sweep, name="sweep")
app.add_typer(estimate_commands)
app.add_typer(models_commands)


def main() -> None:
    """Entry point of `finetune`. Every problem ends with a sentence and an exit code, never with a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # an ASCII-only terminal gets \\u escapes
            stream.reconfigure(errors="backslashreplace")
    leave_unusable_proxies()
    try:
        try:
            app()
        finally:
            sys.stdout.flush()  # flush here rather than at interpreter exit, to report a failure like any other
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # `finetune runs | head`
        _give_up_output()
        sys.exit(0)
    except OSError as error:
        from interfaces.disk import problem_of_os_error

        if error.filename is None and _output_fails():
            from interfaces.problems import Code, Problem

            _give_up_output()
            _fail(Problem.error(Code.OUTPUT_FAILED, reason=error.strerror or str(error)))
        _fail(problem_of_os_error(error, Path().absolute()) or _unexpected(error))
    except Exception as error:  # noqa: BLE001  users never see a traceback
        from interfaces.errors import FineTuneError

        if isinstance(error, FineTuneError):
            _fail(*error.problems)
        _fail(_unexpected(error))


def _output_fails() -> bool:
    """Return whether stdout itself is broken, by writing an empty line to it."""
    try:
        os.write(sys.stdout.fileno(), b"\n")
    except OSError:
        return True
    return False


def _give_up_output() -> None:
    """Discard all further output."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def studio_main() -> None:
    """Entry point of `finetune-studio`, an alias of `finetune studio`."""
    sys.argv.insert(1, "studio")
    main()


def _fail(*problems: Problem) -> NoReturn:
    from interfaces.problems import BROKEN_RUN
    from interfaces.texts import sentence

    for problem in problems:
        print(sentence(problem), file=sys.stderr)
    sys.exit(1 if problems[0].code in BROKEN_RUN else 2)


def _unexpected(error: Exception) -> Problem:
    """Handle an unexpected error: write the traceback to a file and return a problem to print."""
    import tempfile
    import traceback

    from interfaces.problems import Code, Problem

    with tempfile.NamedTemporaryFile(
        "w", prefix="finetune-", suffix=".log", delete=False, encoding="utf-8", errors="replace"
    ) as log:
        traceback.print_exception(error, file=log)
    first = (str(error).strip().splitlines() or [""])[0][:200].encode("ascii", "replace").decode()
    return Problem.error(Code.UNEXPECTED, reason=f"{type(error).__name__}: {first}", path=log.name)


@app.command()
def train(
    config: ConfigArgument,
    settings: SetOption = None,
    preset: Annotated[
        str | None, typer.Option(help="Settings for a type of machine; default: the preset for this machine.")
    ] = None,
    skip_bad_rows: Annotated[
        bool, typer.Option("--skip-bad-rows", help="Skip rows with errors or warnings; they are counted.")
    ] = False,
    source: SourceOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
    detach: DetachOption = False,
    wait: WaitOption = False,
) -> None:
    """Start a run and follow it. The run continues if this terminal is closed or this command is killed."""
    from studio.cli.attach import start_run
    from studio.config_file import with_preset
    from studio.sizing.devices import detect_devices, usable_device

    values = read_settings(config, settings, source)
    values |= {"bad_rows": "skip"} if skip_bad_rows else {}
    full, used = with_preset(values, usable_device(detect_devices()), preset)
    console, note = open_console(stderr=as_json), f"preset {used} for settings not in {config.name}"
    sys.exit(start_run(manager_of(home_of(home)), full, console, as_json, detach, wait, note))


@app.command()
def doctor(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Show versions, devices, memory, disk, and problems that would prevent a run. Exit code 1 if there are any."""
    from interfaces.texts import size
    from studio.cli.doctor import examine

    report = examine(home_of(home))
    if as_json:
        print(json.dumps(report.model_dump(mode="json"), indent=2, ensure_ascii=False))
    else:
        print(f"Python {report.python} on {report.system}")
        print("\n".join(f"  {name:16} {version or 'not installed'}" for name, version in report.versions.items()))
        for device in report.devices:
            used = f"  <- used, preset {report.preset}" if device.used else ""
            print(f"{device.kind:5} {device.name}: {size(device.total_bytes)}, {size(device.free_bytes)} free{used}")
        print(
            f"home  {report.home}: {size(report.disk_free_bytes)} free; starter model {'downloaded' if report.starter else 'not downloaded'}"
        )
        print(f"hub   {report.hub_endpoint}")
        if report.warm_trainer.state != "none":
            print(f"warm trainer: running, uses {size(report.warm_trainer.memory_bytes)}")
        if report.estimates.runs:
            reported = report.estimates
            print(
                f"memory estimates: median error {reported.error:.1%} (runs: {reported.runs}); corrected by a factor of {reported.correction:.2f}"
            )
        print("\n".join(report.hindrances) or "No problems found.")
    sys.exit(1 if report.hindrances else 0)


@app.command()
def demo(home: HomeOption = None) -> None:
    """Train on the sample data, compare base and fine-tuned answers to held-out prompts, and show where the result is."""
    from studio.cli.demo import run_demo

    sys.exit(run_demo(manager_of(home_of(home)), open_console()))


@app.command()
def studio(
    host: Annotated[
        str, typer.Option(help="Address to listen on. Keep the default; for a remote machine use ssh -L.")
    ] = "127.0.0.1",
    port: Annotated[int | None, typer.Option(help="Port; default: the first free port starting at 7860.")] = None,
    home: HomeOption = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the link without opening a browser.")] = False,
    resume_interrupted: Annotated[
        bool,
        typer.Option(
            "--resume-interrupted",
            envvar="FINETUNE_RESUME_INTERRUPTED",
            help="Resume interrupted runs automatically, one at a time.",
        ),
    ] = False,
    no_warm_trainer: Annotated[
        bool,
        typer.Option(
            "--no-warm-trainer", help="Don't keep a warm trainer: runs start more slowly, but less memory is used."
        ),
    ] = False,
) -> None:
    """Open the studio in the browser. Runs continue after the studio stops."""
    from studio.cli.attach import tell_interrupted
    from studio.web.server import serve

    def tell(link: str) -> None:
        print(
            f"Finetune Studio is running. Open your private link:\n\n    {link}\n\nCtrl-C stops it; runs continue.",
            flush=True,
        )

    place = home_of(home)
    if not resume_interrupted:
        tell_interrupted(place)
    serve(place, host, port, not no_browser, tell, not no_warm_trainer, resume_interrupted)
