"""Personal data is found, and hardly anything else; masking leaves the rest as it was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from interfaces.dataset_records import DatasetReport
from interfaces.dataset_requests import PERSONAL_KINDS
from interfaces.example_file import ExampleFile
from interfaces.folders import Home
from trainer.data.dataset import add_dataset
from trainer.data.personal import find_personal, mask_personal, masked, personal_data

KEY = "hf_" + "abcDEF123456" * 3


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Write to ada.lovelace+x@mail.example.co.uk today", "email"),
        ("call +1 415 555 2671 now", "phone"), ("call (415) 555-2671.", "phone"), ("415-555-2671", "phone"),
        ("+49 30 901820", "phone"), ("电话13812345678。", "phone"), ("020 7946 0958", "phone"), ("+8613812345678", "phone"),
        ("tel:020-7946-0958", "phone"), ("07911 123456".replace(" ", ""), "phone"),
        ("card 4111 1111 1111 1111,", "card"), ("5500005555555559", "card"), ("3782-822463-10005", "card"),
        (f"token={KEY}", "key"), ("AKIA" + "ABCDEFGH12345678", "key"), ("sk-" + "a1B2" * 8, "key"),
        ("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----", "key"),
    ],
)  # fmt: skip
def test_personal_data_is_found(text: str, kind: str) -> None:
    assert [one[2] for one in find_personal(text)] == [kind]


@pytest.mark.parametrize(
    "text",
    [
        "On 2024-03-15 at 12:30:45, 1,234,567 people paid 99.99.", "ISBN 978-3-16-148410-0", "v1.2.3.4 and 192.168.100.200",
        "4111 1111 1111 1112", "0000 0000 0000 0000", "pi is 3.14159265358979", "order 123456789012", "1990 1991 1992 1993",
        "f(x) = 1234567890123456789", "a@b", "@user and user@host", "sk-short", "10.1000/182-555-1234567", "0-9 and 10-19",
        "05-12-2023", "on 03 04 2021 and 09-11-2001", "phase 01 02 03 04 05 06", "logo@2x.png", "git@github.com:a/b.git",
        "sk-learn-compatible-estimators", "The file starts with -----BEGIN PRIVATE KEY----- and so on, at length.",
        "UUID 123e4567-e89b-12d3-a456-426614174000", "the range 100-200 300-400 5000", "12345678901234567890",
    ],
)  # fmt: skip
def test_other_numbers_are_not_personal(text: str) -> None:
    assert find_personal(text) == []


def test_findings_are_counted_and_masked_by_choice(home: Home, tmp_path: Path) -> None:
    rows = [
        {"instruction": "Who?", "output": "ada@example.org or +1 415 555 2671"},
        {"instruction": "What?", "output": "Nothing."},
        {"messages": [{"role": "user", "content": "Pay"}, {"role": "assistant", "content": "", "tool_calls": [{"name": "pay", "arguments": {"card": ["4111111111111111"]}}]}]},
    ]  # fmt: skip
    file = tmp_path / "rows.jsonl"
    file.write_text(
        "".join(
            json.dumps(
                {
                    "messages": [
                        {"role": "user", "content": row["instruction"]},
                        {"role": "assistant", "content": row["output"]},
                    ]
                }
                if "output" in row
                else row
            )
            + "\n"
            for row in rows
        )
    )
    folder = add_dataset(home, file)
    found = personal_data(folder)
    assert found.counts == {"email": 1, "phone": 1, "card": 1, "key": 0}
    assert (found.rows, found.found_rows) == (3, 2)
    assert all("…" in one.shown and len(one.shown) <= 7 for one in found.first)
    new = mask_personal(home, folder, ["email", "card"])
    first, second, third = ExampleFile(new)
    assert first.messages[1].content == "[EMAIL] or +1 415 555 2671"
    assert second.messages[1].content == "Nothing."
    assert third.messages[1].tool_calls[0].arguments == {"card": ["[CARD]"]}
    report = DatasetReport.required(new)
    assert report.origin is not None
    assert report.origin.changed == 2
    assert personal_data(mask_personal(home, new, PERSONAL_KINDS)).found_rows == 0


def test_masking_is_idempotent() -> None:
    text = f"ada@example.org {KEY} 4111111111111111"
    assert masked(text, PERSONAL_KINDS) == "[EMAIL] [KEY] [CARD]"
    assert masked(masked(text, PERSONAL_KINDS), PERSONAL_KINDS) == "[EMAIL] [KEY] [CARD]"


def test_a_long_text_is_masked_everywhere() -> None:
    assert masked("a1@example.org, " * 60_000, PERSONAL_KINDS) == "[EMAIL], " * 60_000
