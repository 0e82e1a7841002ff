"""All user-facing texts, from one catalog per language: `interfaces/locale/en.po` and `zh.po`.

The catalogs are gettext files, read with Babel. Each text has a context and a key:

problem        a sentence for each `Code`: what happened, the value seen, what to do
part           parts of these sentences
phase          the phases of a run
page           the pages
label          the settings' labels, by their dotted names
reading        what the curves of a run say (`studio/runs/reading.py`)
advice         what to do when something happens, for the Help page
model          what each recommended model is good for, by its id
help, unit     help and units of the settings in Chinese; the English ones are in `interfaces/config.py`

`{names}` are placeholders for values. If a text depends on a number, `{count}` selects the plural form.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from gettext import c2py
from pathlib import Path
from typing import Any

from interfaces.problems import Changes, Problem

LANGUAGES = ("en", "zh")
LOCALE = Path(__file__).parent / "locale"


class Texts(Mapping[str, str]):
    """The texts of one context in one language, by key. A text has one form, or one form per plural."""

    def __init__(self, forms: dict[str, tuple[str, ...]], plural: str, separator: str) -> None:
        self._forms, self._index, self._separator = forms, c2py(plural), separator

    def __getitem__(self, key: str) -> str:
        return self._forms[key][-1]

    def __iter__(self) -> Iterator[str]:
        return iter(self._forms)

    def __len__(self) -> int:
        return len(self._forms)

    def forms(self, key: str) -> tuple[str, ...]:
        """Return the forms of a text, singular first."""
        return self._forms[key]

    def of(self, key: str, /, **values: Any) -> str:
        """Return a text with its `{name}` placeholders filled in."""
        return self.filled(key, values)

    def filled(self, key: str, values: Mapping[str, Any]) -> str:
        """Fill in a text like `of`. Lists are joined, byte counts become GB or MB, and missing values become empty."""
        forms = self._forms[key]
        count = values.get("count", 0)
        number = self._index(count) if len(forms) > 1 and isinstance(count, int) else 0
        return forms[number].format_map(_Values(values, self._separator))

    def to_record(self) -> dict[str, str | list[str]]:
        """Return the texts for a page: each one as a string, or as a list if it has several forms."""
        return {key: forms[0] if len(forms) == 1 else list(forms) for key, forms in self._forms.items()}


def texts(context: str, language: str = "en") -> Texts:
    """Return the texts of a context; the module docstring lists the contexts."""
    return _catalog(language)[context]


@cache
def _catalog(language: str) -> dict[str, Texts]:
    from babel.messages.pofile import read_po  # takes 20 ms, which `finetune --help` avoids

    with (LOCALE / f"{language}.po").open("rb") as file:
        catalog = read_po(file, locale=language, abort_invalid=True)
    contexts: dict[str, dict[str, tuple[str, ...]]] = {}
    for message in catalog:
        if message.context:
            key = message.id if isinstance(message.id, str) else message.id[0]
            forms = (message.string,) if isinstance(message.string, str) else tuple(message.string or ())
            contexts.setdefault(message.context, {})[key] = forms
    [separator] = contexts["part"]["list"]
    return {context: Texts(forms, catalog.plural_expr, separator) for context, forms in contexts.items()}


def row_reason(problem: Problem, language: str = "en") -> str:
    """Describe the problem of a row without its position."""
    return texts("problem", language).filled(problem.code, _spoken(problem.params, language)).lstrip(":： ")


def sentence(problem: Problem, language: str = "en") -> str:
    """Return the problem as a sentence; a BAD_ROWS problem adds one line per listed row."""
    params, parts = _spoken(problem.params, language), texts("part", language)
    if params.get("suggestion"):
        params["hint"] = parts.of("did_you_mean", value=params["suggestion"])
    elif problem.change:
        params["hint"] = parts.of("smaller", settings=settings_words(problem.change))
    elif problem.change == {}:
        params["hint"] = parts.of("nothing_smaller")
    if "row" in params:
        params["where"] = parts.filled(
            "where_cell" if params.get("cell") else "where_line" if params.get("line") else "where_row", params
        )
    named = [Problem.model_validate(row) for row in params.get("first", []) if isinstance(row, dict)]
    lines = [texts("problem", language).filled(problem.code, params)]
    lines += [f"  {sentence(row, language)}" for row in named]
    if named and params["count"] > len(named):
        lines.append(parts.of("more", count=params["count"] - len(named)))
    return "\n".join(lines)


def _spoken(params: Mapping[str, Any], language: str) -> dict[str, Any]:
    """Translate the sub-codes in a problem's values (expectation, reason). Other strings stay unchanged."""
    reasons = texts("reason", language)

    def said(value: Any, values: Mapping[str, Any]) -> Any:
        if isinstance(value, dict) and "code" in value:
            return said(value["code"], value) if value["code"] in reasons else value.get("words", value["code"])
        if isinstance(value, list) and value and all(isinstance(one, dict) and "code" in one for one in value):
            return texts("part", language)["or"].join(said(one, values) for one in value)
        return reasons.filled(value, values) if isinstance(value, str) and value in reasons else value

    spoken = {
        **params,
        **{
            name: said(params[name], params)
            for name in ("reason", "expected", "value", "missing", "other")
            if name in params
        },
    }
    if isinstance(params.get("path"), dict):
        spoken["path"] = said(params["path"], params)
    page = texts("page", language)
    if f"state_{params.get('state')}" in page:
        spoken["state"] = page[f"state_{params['state']}"]
    if isinstance(kinds := params.get("kinds"), dict):
        spoken["kinds"] = [f"{page.get(f'kind_{kind}', kind)}: {count}" for kind, count in kinds.items()]
    return spoken


def settings_words(change: Changes) -> str:
    """Format a change of settings as in a config file."""
    return ", ".join(
        f"{field}: {str(value).lower() if isinstance(value, bool) else value}" for field, value in change.items()
    )


class _Values(dict[str, Any]):
    """Template values: joins lists, formats bytes as GB or MB, and turns missing values into empty strings."""

    def __init__(self, values: Mapping[str, Any], separator: str) -> None:
        super().__init__(values)
        self._separator = separator

    def __missing__(self, key: str) -> str:
        return ""

    def __getitem__(self, key: str) -> Any:
        value = super().__getitem__(key)
        if isinstance(value, list | tuple):
            return self._separator.join(str(item) for item in value)
        if key in ("needed", "free", "size", "limit") and isinstance(value, int | float):
            return size(value)
        return value


def size(number_of_bytes: float) -> str:
    """Format a byte count for display, in powers of 1000 like disks and downloads."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(number_of_bytes) < 1000:
            return f"{number_of_bytes:.0f} {unit}" if unit == "B" else f"{number_of_bytes:.1f} {unit}"
        number_of_bytes /= 1000
    return f"{number_of_bytes:.1f} TB"
