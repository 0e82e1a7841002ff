"""Writes the documents that are derived from the code; `--check` says which are stale instead."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

from laws import ROOMS, Room, picture, readme

from interfaces.config import fields
from interfaces.presets import PRESETS
from interfaces.problems import Code
from interfaces.texts import texts
from studio.web.errors import status_of

DOCS = Path(__file__).resolve().parent


def settings_table() -> str:
    """docs/settings.md: every setting, from `FineTuneConfig` itself."""
    lines = [
        "# Settings",
        "",
        "Every setting of a run, by its name in the YAML file, in `--set` and in the form. Written by `make docs`.",
        "",
        "| Name | Default | Unit | What it does |",
        "|---|---|---|---|",
    ]
    for name, field in fields():
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        default = field.get_default(call_default_factory=True)
        shown = f"`{default}`" if default not in ("", [], {}) else "empty"
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


def errors_table() -> str:
    """docs/errors.md: every code of a problem with its status and its sentence."""
    lines = [
        "# Errors",
        "",
        "Everything that can go wrong has a code. The terminal prints its sentence and exits with 2 for invalid input and 1 for a failed",
        "run; the last event of a failed run holds it; and the API answers with the status below and RFC 9457's problem details",
        "(`application/problem+json`):",
        "",
        "```json",
        '{"type": "urn:finetune-studio:run_not_found", "title": "Not Found", "status": 404, "detail": "There is no run ...",',
        ' "problems": [{"code": "run_not_found", "severity": "error", "params": {"run": "abc", "path": "runs"}}]}',
        "```",
        "",
        "`problems` names all of them, each with the values seen. `{names}` in a sentence are these values. The sentences are those of",
        "`interfaces/locale/en.po`; `zh.po` has them in Chinese. Written by `make docs`.",
        "",
        "| Code | Status | Sentence |",
        "|---|---|---|",
    ]
    for code in Code:
        shown = texts("problem")[code].replace("|", "\\|").replace("<", "&lt;").replace("{{", "{").replace("}}", "}")
        lines.append(f"| `{code}` | {int(status_of(code))} | {shown.removeprefix('{where}: ')} |")
    return "\n".join(lines) + "\n"


def glossary() -> str:
    """studio/pages/glossary.json: docs/glossary.md as the Help page shows it."""
    lines = (DOCS / "glossary.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("| ")][1:]
    terms = [
        {"en": {"term": row[0], "meaning": row[2]}, "zh": {"term": row[1].split(", ")[0], "meaning": row[3]}}
        for row in rows
    ]
    return json.dumps(terms, ensure_ascii=False, indent=1) + "\n"


def architecture() -> str:
    """docs/architecture.md, with the picture of its rooms as docs/laws.py has them."""
    before, _, rest = (DOCS / "architecture.md").read_text(encoding="utf-8").partition(BEGIN)
    return f"{before}{BEGIN}\n\n{picture()}\n\n{END}{rest.partition(END)[2]}"


def law_of(room: Room) -> Callable[[], str]:
    return lambda: readme(room)


BEGIN, END = "<!-- rooms: written by make docs -->", "<!-- end of rooms -->"
DOCUMENTS: dict[Path, Callable[[], str]] = {
    DOCS / "settings.md": settings_table,
    DOCS / "errors.md": errors_table,
    DOCS / "architecture.md": architecture,
    DOCS.parent / "studio/pages/glossary.json": glossary,
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
