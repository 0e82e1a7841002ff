"""Every text that a person reads, from one catalog for each language: `interfaces/locale/en.po` and `zh.po`.

The catalogs are gettext's, read with Babel; a text is found by its context and its key:

problem        a sentence for each `Code`: what happened, the value seen, what to do
part           pieces of such sentences
phase          what a run is doing
page           the pages
label          the settings' short names, by their dotted names
help, unit     of the settings, in Chinese; the English ones stand in `interfaces/config.py`

`{names}` are filled in with the values; where the text depends on a number, `{count}` chooses the plural.
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
    """The texts of one context in one language, by their keys. Most have one form; the others, one for each plural."""

    def __init__(self, forms: dict[str, tuple[str, ...]], plural: str) -> None:
        self._forms, self._index = forms, c2py(plural)

    def __getitem__(self, key: str) -> str:
        return self._forms[key][-1]

    def __iter__(self) -> Iterator[str]:
        return iter(self._forms)

    def __len__(self) -> int:
        return len(self._forms)

    def forms(self, key: str) -> tuple[str, ...]:
        """From singular to plural."""
        return self._forms[key]

    def of(self, key: str, /, **values: Any) -> str:
        """A text with its values filled in, as `{name}` marks them."""
        return self.filled(key, values)

    def filled(self, key: str, values: Mapping[str, Any]) -> str:
        """As `of`. Lists are joined, byte counts become GB or MB, and a missing value is nothing."""
        forms = self._forms[key]
        count = values.get("count", 0)
        number = self._index(count) if len(forms) > 1 and isinstance(count, int) else 0
        return forms[number].format_map(_Values(values))

    def to_record(self) -> dict[str, str | list[str]]:
        """As pages get them: a text, or where it has several forms, the list of them."""
        return {key: forms[0] if len(forms) == 1 else list(forms) for key, forms in self._forms.items()}


def texts(context: str, language: str = "en") -> Texts:
    """The texts of a context; the module says which there are."""
    return _catalog(language)[context]


@cache
def _catalog(language: str) -> dict[str, Texts]:
    from babel.messages.pofile import read_po  # 20 ms, which `finetune --help` does not need

    with (LOCALE / f"{language}.po").open("rb") as file:
        catalog = read_po(file, locale=language, abort_invalid=True)
    contexts: dict[str, dict[str, tuple[str, ...]]] = {}
    for message in catalog:
        if message.context:
            key = message.id if isinstance(message.id, str) else message.id[0]
            forms = (message.string,) if isinstance(message.string, str) else tuple(message.string or ())
            contexts.setdefault(message.context, {})[key] = forms
    return {context: Texts(forms, catalog.plural_expr) for context, forms in contexts.items()}


def row_reason(problem: Problem, language: str = "en") -> str:
    """What is wrong with a row, without saying again where it stands."""
    return texts("problem", language).filled(problem.code, _spoken(problem.params, language)).lstrip(":： ")


def sentence(problem: Problem, language: str = "en") -> str:
    """The problem in words; a BAD_ROWS problem takes one more line for each row it names."""
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
    """A problem's values with its sub-codes in words: what was expected, why it was refused. Other texts are foreign words."""
    reasons = texts("reason", language)

    def said(value: Any, values: Mapping[str, Any]) -> Any:
        if isinstance(value, dict) and "code" in value:
            return said(value["code"], value) if value["code"] in reasons else value.get("words", value["code"])
        if isinstance(value, list) and value and all(isinstance(one, dict) and "code" in one for one in value):
            return texts("part", language)["or"].join(said(one, values) for one in value)
        return reasons.filled(value, values) if isinstance(value, str) and value in reasons else value

    return {
        **params,
        **{name: said(params[name], params) for name in ("reason", "expected", "value") if name in params},
    }


def settings_words(change: Changes) -> str:
    """A change of settings as it stands in a config file."""
    return ", ".join(
        f"{field}: {str(value).lower() if isinstance(value, bool) else value}" for field, value in change.items()
    )


class _Values(dict[str, Any]):
    """Values for a template: lists joined, bytes as GB or MB, a missing one as nothing."""

    def __missing__(self, key: str) -> str:
        return ""

    def __getitem__(self, key: str) -> Any:
        value = super().__getitem__(key)
        if isinstance(value, list | tuple):
            return ", ".join(str(item) for item in value)
        if key in ("needed", "free", "size", "limit") and isinstance(value, int | float):
            return size(value)
        return value


def size(number_of_bytes: float) -> str:
    """Bytes as a person reads them, in powers of 1000 (as disks and downloads are sold)."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(number_of_bytes) < 1000:
            return f"{number_of_bytes:.0f} {unit}" if unit == "B" else f"{number_of_bytes:.1f} {unit}"
        number_of_bytes /= 1000
    return f"{number_of_bytes:.1f} TB"
