"""Shared parts of the terminal commands: options, the console, tables, and access to a home's runs. Fast to import."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from interfaces.folders import Home
    from interfaces.run_config import Settings
    from studio.finetune_manager import FinetuneManager


_PROXIES = ("all_proxy", "http_proxy", "https_proxy")


def expanded(value: Any) -> Any:
    """Expand '~' in a path. The shell doesn't expand it inside quotes or after '='."""
    return type(value)(os.path.expanduser(value)) if isinstance(value, str | Path) else value  # noqa: PTH111


HomeOption = Annotated[
    Path | None,
    typer.Option(
        "--home", help="Where runs, datasets and models are stored.", envvar="FINETUNE_HOME", callback=expanded
    ),
]
ConfigArgument = Annotated[
    Path, typer.Argument(metavar="CONFIG.yaml", help="The settings of the run.", callback=expanded)
]
JsonOption = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
RunArgument = Annotated[str, typer.Argument(metavar="ID", help="A run's id, its first or last characters, or 'last'.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Overrides a setting; may be repeated.")
]
SourceOption = Annotated[
    str | None, typer.Option("--from", metavar="SOURCE", help="Format of the config: llamafactory or axolotl.")
]
WaitOption = Annotated[bool, typer.Option("--wait", help="Queue the run if the device is in use.")]
DetachOption = Annotated[bool, typer.Option("--detach", help="Start the run and return immediately.")]


def home_of(chosen: Path | None) -> Home:
    """Return the home of a command, and export its saved Hub endpoint and token to the environment."""
    from interfaces.folders import Home
    from studio.models.hub_access import fill_environment

    home = Home.of(chosen, os.environ)
    fill_environment(home)
    return home


def read_settings(config: Path, settings: list[str] | None, source: str | None) -> Settings:
    """Read a config file, ours or one of `source`, apply the command line's settings, and resolve paths.

    Settings of a foreign config that have no equivalent are printed to stderr.

    Raises:
        FineTuneError: the file can't be read, or asks for something unsupported.
    """
    from studio.config_file import apply_settings, read_config_file, resolved_paths
    from studio.foreign_config import looks_like, translated

    values = read_config_file(config)
    if source is not None:
        from interfaces.errors import FineTuneError

        found = translated(values, source, config.parent)
        if found.refused:
            raise FineTuneError(*found.refused)
        print(
            f"Converted from {source}. Settings not used: {len(found.left)} of {len(values)}",
            file=sys.stderr,
        )
        for key, reason in found.left.items():
            print(f"  {key}: {reason}", file=sys.stderr)
        values = found.config
    elif theirs := looks_like(values):
        print(f"This looks like a config for {theirs}; '--from {theirs}' converts it.", file=sys.stderr)
    return resolved_paths(apply_settings(values, settings or []), config.parent)


def leave_unusable_proxies() -> None:
    """Print a warning for each proxy that the HTTP library rejects, and remove it from the environment.

    Otherwise it would make every command fail, even without network access.
    """
    for name in [name for name in os.environ if name.lower() in _PROXIES]:
        scheme = os.environ[name].strip().partition("://")[0].lower() if "://" in os.environ[name] else "http"
        if scheme not in ("http", "https", "socks5", "socks5h"):
            from interfaces.problems import Code, Problem
            from interfaces.texts import sentence

            value = re.sub(r"//[^/@]*@", "//", os.environ.pop(name))
            print(sentence(Problem.warning(Code.PROXY_UNUSABLE, field=name, value=value)), file=sys.stderr)


def manager_of(home: Home) -> FinetuneManager:
    from studio.finetune_manager import FinetuneManager
    from studio.runs.supervised_trainer import SupervisedTrainer

    return FinetuneManager(SupervisedTrainer(), home)


def open_console(stderr: bool = False) -> Console:
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, soft_wrap=True)


def print_table(header: list[str], rows: list[list[str]]) -> None:
    """Print a table as plain text, for pipes and screen readers. The last column takes the remaining width."""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header) - 1)]
    for row in [header, *rows]:
        print("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]))


def program_name() -> str:
    """Return how to call this program from the current directory: by name if it is on the PATH."""
    return "finetune" if shutil.which("finetune") or not sys.argv[0] else os.path.relpath(sys.argv[0])


def figures(*values: float | None) -> str:
    return " > ".join("-" if value is None else f"{value:.3f}" for value in values)


def duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}h{minutes % 60:02}m" if minutes >= 60 else f"{minutes}m{rest:02}s"
