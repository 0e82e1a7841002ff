"""The output of `finetune data`: reports, rows, and statistics, safe for any terminal."""

from __future__ import annotations

import json
import sys

from rich.console import Console
from rich.text import Text

from interfaces.dataset_records import DatasetReport, ShownRow
from interfaces.folders import DatasetFolder
from interfaces.row_lengths import TokenStats
from interfaces.texts import row_reason, sentence
from studio.datasets.library import problem_lines

SHOWN_PROBLEMS = 20


def print_report(folder: DatasetFolder, report: DatasetReport) -> None:
    """Print the whole report as one JSON object, streamed so that a million problems need no memory."""
    shown = {"format", "rows", "valid", "invalid", "suspicious", "columns", "unused_columns", "unused_keys"}
    head = json.dumps(report.model_dump(include=shown), ensure_ascii=False)
    sys.stdout.write(head[:-1] + ', "problems": [')
    for number, record in enumerate(problem_lines(folder)):
        problem = record.problem
        line = {
            "row": record.row, "line": record.line, "offset": record.offset, "field": problem.params.get("field"),
            "kind": problem.code.removeprefix("row_"), "severity": problem.severity, "reason": row_reason(problem),
        }  # fmt: skip
        sys.stdout.write((", " if number else "") + json.dumps(line, ensure_ascii=True))
    sys.stdout.write("]}\n")


def tell_report(folder: DatasetFolder, report: DatasetReport) -> None:
    """Print a human-readable report about a file."""
    used = ", ".join(f"{role}: {column}" for role, column in report.columns.items())
    print(
        plain(
            f"{report.name}: {report.rows} rows, detected as {report.format or 'an unknown format'}"
            + (f" ({used})" if used else "")
        )
    )
    if report.unused_columns:
        print(plain(f"Unused columns: {', '.join(report.unused_columns)}"))
    if report.unused_keys:
        keys = ", ".join(f"{key} ({count})" for key, count in report.unused_keys.items())
        print(plain(f"Unused keys in messages: {keys}"))
    print(f"{report.valid} valid, {report.suspicious} with warnings, {report.invalid} with errors")
    for number, record in enumerate(problem_lines(folder)):
        if number == SHOWN_PROBLEMS:
            print(f"  ... and {sum(report.kinds.values()) - SHOWN_PROBLEMS} more ('--json' lists all)")
            break
        print(plain("  " + sentence(record.problem)))


def tell_row(shown: ShownRow) -> None:
    """Print one row as a model sees it; of a pair, both answers."""
    if shown.rejected is None:
        tell_side(shown, avoided=shown.label is False)
        return
    print("Chosen answer:")
    tell_side(shown)
    print("\nRejected answer:")
    tell_side(shown.rejected, avoided=True)


def tell_side(shown: ShownRow, avoided: bool = False) -> None:
    """Print a conversation as a model sees it, with the trained text marked by color, or by brackets without color.

    `avoided` answers are those that are made less likely.
    """
    console = Console(highlight=False, soft_wrap=True)
    text = Text()
    for index, token in enumerate(shown.tokens):
        style = ("black on red" if avoided else "black on green") if token.trained else "dim"
        if index >= shown.max_length:
            style = "strike dim"
        # Without color, brackets mark what is trained on.
        begins = token.trained and (index == 0 or not shown.tokens[index - 1].trained)
        ends = token.trained and (index + 1 == len(shown.tokens) or not shown.tokens[index + 1].trained)
        piece = plain(token.text, keep="\n\t")
        text.append(piece if console.color_system else f"{'[[' if begins else ''}{piece}{']]' if ends else ''}", style)
    console.print(text)
    if avoided:
        print(f"\n{shown.length} tokens, {shown.trained} of them made less likely")
        return
    stop = shown.stop
    fates = {
        "trained": "is trained on",
        "read": "is only context: the model won't learn to stop",
        "cut": "is truncated",
        "none": "",
    }
    print(f"\n{shown.length} tokens, {shown.trained} trained on, {shown.cut} beyond max_length {shown.max_length}")
    print(
        f"The end-of-turn token {stop.token} {fates[stop.fate]}."
        if stop.token
        else "There is no end-of-turn token: the model won't learn to stop."
    )
    for note in shown.notes:
        print(plain(sentence(note)))


def tell_stats(found: TokenStats) -> None:
    """Print the statistics of all rows with a histogram."""
    of = f"{found.counted} of {found.rows} rows (a sample)" if found.sampled else f"{found.rows} rows"
    print(f"{of}: {found.tokens} tokens, median {found.median}, longest {found.longest}")
    print(
        f"At max_length {found.max_length}: rows truncated: {found.cut}; rows that lose their whole answer: {found.lost}; tokens trained on: {found.trained_tokens}"
    )
    print(
        f"{found.steps_per_epoch} steps per epoch with batch size {found.batch} and {found.accumulation} gradient accumulation steps, "
        f"without padding (padded batches would be {found.padding_share:.0%} padding)"
    )
    bars, edges = found.histogram.counts, found.histogram.edges
    most = max([*bars, 1])
    for count, start, end in zip(bars, edges, edges[1:], strict=False):
        if count:
            mark = " <- max_length" if start < found.max_length <= end else ""
            print(f"{start:>7} - {end:<7} {'#' * max(round(40 * count / most), 1)} {count}{mark}")
    if found.nothing_to_learn:
        print(f"Rows with nothing to train on at any length: {found.nothing_to_learn}")
    if found.refused:
        print(
            plain(
                f"Rows rejected by the chat template: {found.refused} ({'; '.join(f'row {one.row}: {one.reason}' for one in found.first_refused)})"
            )
        )
    for problem in found.warnings:
        print(plain(sentence(problem)))


def plain(text: str, keep: str = "") -> str:
    """Escape a file's text for the terminal: control sequences and characters that change the text direction."""
    return "".join(
        character if character.isprintable() or character in keep or character == "\n" else f"\\u{ord(character):04x}"
        for character in text
    )
