"""Writes the documents that are derived from the code; `--check` says which are stale instead."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from laws import ROOMS, Room, picture, readme

from interfaces.config import fields
from interfaces.presets import PRESETS

DOCS = Path(__file__).resolve().parent


def settings_table() -> str:
    """docs/settings.md: every dial, from `FineTuneConfig` itself."""
    lines = [
        "# Settings",
        "",
        "Every dial of a run, by its name in the YAML file, in `--set` and in the form. Written by `make docs`.",
        "",
        "| Name | Default | Unit | What it does |",
        "|---|---|---|---|",
    ]
    for name, field in fields():
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        default = field.get_default(call_default_factory=True)
        shown = f"`{default}`" if default not in ("", []) else "empty"
        lines.append(f"| `{name}` | {shown} | {extra.get('unit', '')} | {field.description} |")
    lines += [
        "",
        "## Presets",
        "",
        "A config file that leaves settings open takes them from the preset for the machine, or from `--preset NAME`.",
        "",
    ]
    for name, make in PRESETS.items():
        values = make().model_dump(exclude_defaults=True)
        model = make().model_name
        shown = ", ".join(f"`{key}: {value}`" for key, value in {"model_name": model, **values}.items())
        lines.append(f"- **{name}**: {shown}")
    return "\n".join(lines) + "\n"


def architecture() -> str:
    """docs/architecture.md, with the picture of its rooms as docs/laws.py has them."""
    before, _, rest = (DOCS / "architecture.md").read_text(encoding="utf-8").partition(BEGIN)
    return f"{before}{BEGIN}\n\n{picture()}\n\n{END}{rest.partition(END)[2]}"


def law_of(room: Room) -> Callable[[], str]:
    return lambda: readme(room)


BEGIN, END = "<!-- rooms: written by make docs -->", "<!-- end of rooms -->"
DOCUMENTS: dict[Path, Callable[[], str]] = {
    DOCS / "settings.md": settings_table,
    DOCS / "architecture.md": architecture,
    **{DOCS.parent / room.name.replace(".", "/") / "README.md": law_of(room) for room in ROOMS if room.has_readme},
}


def main() -> int:
    stale = []
    for path, make in DOCUMENTS.items():
        text = make()
        if "--check" not in sys.argv:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(path.name)
    if stale:
        print(f"Stale: {', '.join(stale)}. Run 'make docs'.", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
