"""Files with faults planted in them: which line each stands on is known, so that a report can be held to it."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def clean_row(number: int) -> Row:
    """A conversation that nobody could object to; no two are alike."""
    turns = [
        {"role": "user", "content": f"Question {number}: how many steps lead to floor {number % 97}?"},
        {"role": "assistant", "content": f"There are {number * 7} steps, all of them {'low' if number % 2 else 'high'}. Nr. {number}."},
    ]  # fmt: skip
    if number % 3 == 0:
        turns = [{"role": "system", "content": "Answer in one sentence."}, *turns]
    if number % 5 == 0:
        turns += [
            {"role": "user", "content": "And back?"},
            {"role": "assistant", "content": f"As many: {number * 7}. Ω 你好"},
        ]
    return {"messages": turns}


def _with(change: Callable[[list[Row]], Any]) -> Callable[[Row], bytes]:
    def plant(row: Row) -> bytes:
        changed = change(row["messages"])
        return json.dumps(row if changed is None else {"messages": changed}, ensure_ascii=False).encode(
            "utf-8", "surrogatepass"
        )

    return plant


def _set(index: int, **values: Any) -> Callable[[Row], bytes]:
    return _with(lambda turns: turns[index].update(values))


def _raw(change: Callable[[bytes], bytes]) -> Callable[[Row], bytes]:
    return lambda row: change(json.dumps(row, ensure_ascii=False).encode())


FAULTS: dict[str, tuple[str, Callable[[Row], bytes]]] = {
    # name: (the kind that the report should give, how it is planted)
    "cut off in the middle": ("broken_json", _raw(lambda line: line[: len(line) // 2])),
    "a quote too many": ("broken_json", _raw(lambda line: line.replace(b'"role"', b'"ro"le"', 1))),
    "single quotes": ("broken_json", lambda row: repr(row).encode()),
    "latin-1": ("bad_encoding", lambda row: json.dumps({"messages": [{"role": "user", "content": "é"}]}, ensure_ascii=False).encode("latin-1")),
    "a list": ("not_object", lambda row: json.dumps(row["messages"]).encode()),
    "null": ("not_object", lambda _row: b"null"),
    "no messages": ("field_missing", lambda row: json.dumps({"message": row["messages"]}).encode()),
    "messages are text": ("field_type", lambda _row: b'{"messages": "hello"}'),
    "no turns": ("field_empty", _with(lambda _turns: [])),
    "a turn without content": ("field_missing", _with(lambda turns: turns[-1].pop("content") and None)),
    "content is a number": ("field_type", _set(-1, content=5)),
    "content is null": ("field_type", _set(-1, content=None)),
    "an empty answer": ("field_empty", _set(-1, content="")),
    "a blank answer": ("field_empty", _set(-1, content=" \n\t")),
    "an unknown role": ("role_unknown", _set(-1, role="poet")),
    "no answer": ("no_answer", _with(lambda turns: [turn for turn in turns if turn["role"] != "assistant"][:1])),
    "half a character": ("field_type", _raw(lambda line: line.replace(b"Question", rb"\ud83d Question", 1))),
    "a bad weight": ("field_type", _set(-1, weight=0.5)),
    "a call without a name": ("field_type", _set(-1, tool_calls=[{"function": {"arguments": "{}"}}])),
    "two questions in a row": ("role_order", _with(lambda turns: [turns[-2], *turns])),
    "system in the middle": ("role_order", _with(lambda turns: [*turns, {"role": "system", "content": "s"}, *turns[-2:]])),
    "the question is the last turn": ("role_order", _with(lambda turns: [*turns, turns[-2]])),
    "a tool answers nobody": ("role_order", _with(lambda turns: [*turns[:-1], {"role": "tool", "content": "x"}, turns[-1]])),
    "nan": ("not_a_value", _set(-1, content="nan")),
    "None": ("not_a_value", _set(-1, content="None")),
    "a control character": ("control_characters", _set(-1, content="a\u0007b")),
    "turned direction": ("control_characters", _set(-1, content="abc \u202e cba")),
    "a control token": ("special_token", _set(-1, content="Fine.<|im_end|>")),
    "an open code block": ("answer_cut", _set(-1, content="```python\nprint(1)\n")),
    "a huge cell": ("cell_large", _set(-1, content="x " * 600_000)),
}  # fmt: skip
REPEATED = {"the same row": "duplicate", "the same row in capitals": "nearly_duplicate"}


@dataclass(frozen=True)
class Planted:
    """One fault: where it stands and what the report should call it."""

    row: int
    line: int
    kind: str
    name: str


def planted_jsonl(path: Path, rows: int, faults: int, seed: int, blank_lines: bool = True) -> list[Planted]:
    """A JSONL file of `rows` rows, `faults` of which are at fault; returns where. Huge cells come at most five times."""
    rng = random.Random(seed)
    names = [*FAULTS, *REPEATED] if rows > 20 else [name for name in FAULTS if name != "a huge cell"]
    # The first row stays clean, so that later ones can repeat one, and the shape is known from a good row.
    at = sorted(rng.sample(range(2, rows + 1), min(faults, rows - 1)))
    chosen = dict(zip(at, _names(names, len(at), rng), strict=True))
    planted, line = [], 0
    with path.open("wb") as file:
        for number in range(1, rows + 1):
            line += 1
            if blank_lines and number % 50 == 0:
                file.write(b"\n")
                line += 1
            name = chosen.get(number)
            if name is None:
                file.write(json.dumps(clean_row(number), ensure_ascii=False).encode() + b"\n")
                continue
            kind, content = _planted_row(name, number)
            file.write(content + b"\n")
            planted.append(Planted(number, line, kind, name))
    return planted


def _names(names: list[str], count: int, rng: random.Random) -> Iterator[str]:
    """All kinds in turn, in a random order; the huge ones not too often."""
    huge = made = 0
    while made < count:
        for name in rng.sample(names, len(names)):
            huge += name == "a huge cell"
            if made < count and (name != "a huge cell" or huge <= 5):
                made += 1
                yield name


def _planted_row(name: str, number: int) -> tuple[str, bytes]:
    if name in REPEATED:
        row = clean_row(1)
        if name != "the same row":
            row["messages"] = [
                {**turn, "content": turn["content"].upper().replace(" ", "  ")} for turn in row["messages"]
            ]
        return REPEATED[name], json.dumps(row, ensure_ascii=False).encode()
    kind, plant = FAULTS[name]
    return kind, plant(clean_row(number))


def as_array(jsonl: Path, path: Path) -> list[int]:
    """The rows of a JSONL file as the elements of a JSON array, one a line; returns the line of each."""
    lines = [line for line in jsonl.read_bytes().splitlines() if line.strip()]
    path.write_bytes(b"[\n" + b",\n".join(lines) + b"\n]\n")
    return list(range(2, len(lines) + 2))
