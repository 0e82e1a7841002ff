"""Writes the documents that are derived from the code; `--check` says which are stale instead."""

from __future__ import annotations

import sys
from pathlib import Path

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


DOCUMENTS = {DOCS / "settings.md": settings_table}


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
