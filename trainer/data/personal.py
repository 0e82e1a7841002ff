"""Personal data in rows: e-mail addresses, phone numbers, card numbers with a valid check digit, and keys of known shapes."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import phonenumbers

from interfaces.dataset_requests import PERSONAL_KINDS, PersonalData, PersonalFinding, PersonalKind
from interfaces.example import Example, Message
from interfaces.example_file import ExampleFile
from interfaces.folders import DatasetFolder, Home
from interfaces.trainer_jobs import JobProgress, OnProgress, ignore_progress
from trainer.data.changing import TELL_ROWS, write_changed

SHOWN = 50
_EMAIL = re.compile(
    r"(?<![\w.+-])[A-Za-z0-9][\w.%+-]{0,63}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,24}\b",
    re.ASCII,
)
_CARD = re.compile(r"(?<![\w.,-])\d(?:[ -]?\d){12,18}(?![\w-]|[.,]\d)", re.ASCII)
_ISSUERS = re.compile(
    r"4\d{15}|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}"
    r"|3(?:0[0-5]|[689]\d)\d{11}|35(?:2[89]|[3-8]\d)\d{12}|6(?:011|5\d\d|4[4-9]\d)\d{12}|62\d{14,17}"
)
"""Lengths and first digits of the issuers (ISO/IEC 7812, as the issuers publish theirs)."""
_KEY = re.compile(
    r"(?<![A-Za-z0-9])(?:sk-(?=[A-Za-z_-]*\d)[A-Za-z0-9_-]{20,}|sk_live_[A-Za-z0-9]{24,}|hf_[A-Za-z0-9]{30,}"
    r"|gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{40,}|glpat-[A-Za-z0-9_-]{20,}|npm_[A-Za-z0-9]{36}"
    r"|AKIA[0-9A-Z]{16}|AIza[A-Za-z0-9_-]{35}|xox[abprs]-[A-Za-z0-9-]{10,}"
    r"|eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,})"
    r"|-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----(?:[\s\S]{0,10000}?-----END [A-Z ]{0,40}PRIVATE KEY-----|(?:\s{1,4}[A-Za-z0-9+/=]{16,80}(?!\S))+)",
    re.ASCII,
)
_NOT_MAIL = re.compile(r"git@|.*\.(?:png|jpe?g|gif|svg|webp|ico|css|js|ts|py|md|html?|json|txt)$", re.IGNORECASE)
"""What has the form of an address, but is a file's name or a repository's."""
_DATE = re.compile(r"\(?\d{1,2}\)?[ -]\d{1,2}[ -](?:19|20)?\d\d")
_PHONES: tuple[tuple[re.Pattern[str], tuple[str | None, ...]], ...] = (
    (re.compile(r"(?<![\w+])\+\d(?:[\s().-]{0,2}\d){6,14}(?!\w)", re.ASCII), (None,)),
    (re.compile(r"(?<![\w.-])(?:1[ .-])?(?:\(\d{3}\) ?|\d{3}[.-])\d{3}[ .-]\d{4}(?![\w-]|\.\d)", re.ASCII), ("US",)),
    (re.compile(r"(?<![\w.-])1[3-9]\d[ -]?\d{4}[ -]?\d{4}(?![\w-]|\.\d)", re.ASCII), ("CN",)),
    (re.compile(r"(?<![\w.-])07\d{9}(?!\w)", re.ASCII), ("GB",)),
    (
        re.compile(r"(?<![\w.,/-])(?<!\d:)(?<!\d )\(?0\d{1,4}\)?(?:[ -]\d{2,8}){1,4}(?![\w:/-]|[.,]\d| \d)", re.ASCII),
        ("GB", "DE", "FR", "CN", "JP", "AU"),
    ),
)  # fmt: skip
"""How phone numbers are written, with the regions in whose numbering plans such a number has to be valid."""


def find_personal(text: str) -> list[tuple[int, int, PersonalKind]]:
    """Return (start, end, kind) of all personal data in a text, in order and without overlaps."""
    found: list[tuple[int, int, PersonalKind]] = []
    taken = bytearray(len(text))

    def add(start: int, end: int, kind: PersonalKind) -> None:
        if not any(taken[start:end]):
            taken[start:end] = b"\1" * (end - start)
            found.append((start, end, kind))

    for match in _KEY.finditer(text):
        add(*match.span(), "key")
    if "@" in text:
        for match in _EMAIL.finditer(text):
            if not _NOT_MAIL.match(match[0]):
                add(*match.span(), "email")
    if _has_digits(text):
        for match in _CARD.finditer(text):
            if _is_card(match[0]):
                add(*match.span(), "card")
        for pattern, regions in _PHONES:
            for match in pattern.finditer(text):
                if any(_is_phone(match[0], region) for region in regions):
                    add(*match.span(), "phone")
    return sorted(found)


_SEVEN_DIGITS = re.compile(r"(?:\d[\s().-]{0,2}){7}")


def _has_digits(text: str) -> bool:
    return _SEVEN_DIGITS.search(text) is not None


def _is_card(text: str) -> bool:
    """Return whether an issuer has such numbers, and the check digit is right (Luhn, US patent 2,950,048)."""
    digits = re.sub(r"\D", "", text)
    if not _ISSUERS.fullmatch(digits) or len(set(digits)) < 2:
        return False
    doubled = (int(digit) * (2 if place % 2 else 1) for place, digit in enumerate(reversed(digits)))
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def _is_phone(text: str, region: str | None) -> bool:
    if _DATE.fullmatch(text):
        return False
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(text, region))
    except phonenumbers.NumberParseException:
        return False


def masked(text: str, kinds: Sequence[PersonalKind]) -> str:
    """Replace personal data of these kinds by its kind, such as [EMAIL]."""
    parts, done = [], 0
    for start, end, kind in find_personal(text):
        if kind in kinds:
            parts += [text[done:start], f"[{kind.upper()}]"]
            done = end
    return "".join([*parts, text[done:]])


def _texts(example: Example) -> Iterator[str]:
    if example.text is not None:
        yield example.text
    for message in example.turns():
        yield message.content
        yield message.reasoning or ""
        for call in message.tool_calls:
            yield from _strings(call.arguments)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list | tuple):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _strings(one)


def _replaced(value: Any, replace: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return replace(value)
    if isinstance(value, dict):
        return {key: _replaced(one, replace) for key, one in value.items()}
    return [_replaced(one, replace) for one in value] if isinstance(value, list | tuple) else value


def personal_data(folder: DatasetFolder, tell: OnProgress = ignore_progress) -> PersonalData:
    """Count the personal data in a dataset."""
    begun, examples = time.monotonic(), ExampleFile(folder)
    counts: Counter[PersonalKind] = Counter()
    first: list[PersonalFinding] = []
    rows = 0
    for position in range(len(examples)):
        if position % TELL_ROWS == 0:
            tell(JobProgress(progress=(position, len(examples)), rows=position))
        line = examples.line(position)
        if not _may_hold(line):
            continue
        seen = [
            (text[start:end], kind)
            for text in _texts(Example.model_validate_json(line))
            for start, end, kind in find_personal(text)
        ]
        rows += bool(seen)
        counts.update(kind for _, kind in seen)
        first += [
            PersonalFinding(position=position, kind=kind, shown=_shortened(text))
            for text, kind in seen[: SHOWN - len(first)]
        ]
    return PersonalData(
        counts={kind: counts[kind] for kind in PERSONAL_KINDS}, rows=len(examples), found_rows=rows, first=first,
        seconds=round(time.monotonic() - begun, 2),
    )  # fmt: skip


_HINT = re.compile(
    rb"@|(?:\d[^\d\"]{0,3}){7}|sk[-_]|hf_|gh[pousr]_|github_pat|glpat-|npm_|AKIA|AIza|xox|eyJ|PRIVATE KEY"
)


def _may_hold(line: bytes) -> bool:
    """Return whether a row's JSON may hold personal data. Most rows are left out by this, without being parsed."""
    return _HINT.search(line) is not None


def _shortened(text: str) -> str:
    """Return a finding so that a person recognizes it, without all of it."""
    kept = max(1, min(3, len(text) // 5))
    return f"{text[:kept]}…{text[-kept:]}"


def mask_personal(
    home: Home, folder: DatasetFolder, kinds: Sequence[PersonalKind], tell: OnProgress = ignore_progress
) -> DatasetFolder:
    """Create a dataset in which personal data of these kinds is masked."""

    def mask(text: str) -> str:
        return masked(text, kinds)

    def change(_position: int, line: bytes) -> Example | bytes | None:
        if not _may_hold(line):
            return line
        example = Example.model_validate_json(line)
        messages, rejected = (
            tuple(_masked_turn(message, mask) for message in turns) for turns in (example.messages, example.rejected)
        )
        text = None if example.text is None else mask(example.text)
        after = example.model_copy(update={"messages": messages, "rejected": rejected, "text": text})
        return line if after == example else after

    return write_changed(home, folder, change, (), tell)


def _masked_turn(message: Message, mask: Callable[[str], str]) -> Message:
    calls = tuple(call.model_copy(update={"arguments": _replaced(call.arguments, mask)}) for call in message.tool_calls)
    reasoning = message.reasoning and mask(message.reasoning)
    return message.model_copy(update={"content": mask(message.content), "reasoning": reasoning, "tool_calls": calls})
