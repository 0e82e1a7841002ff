import pytest

from interfaces.row_lengths import CutHistogram, RefusedRow, TokenStats
from studio.cli.data_report import plain, tell_stats


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", "\\u001b[31mred"),
        ("a\u202eb", "a\\u202eb"),
        ("tab\there", "tab\\u0009here"),
        ("你好\n", "你好\n"),
        ("\ud800", "\\ud800"),
    ],
)
def test_terminal_control_characters_are_escaped(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_statistics_show_the_max_length_line(capsys: pytest.CaptureFixture[str]) -> None:
    found = TokenStats(
        sampled=True, counted=10, rows=100, tokens=500, tokens_kept=480, median=50, longest=90, max_length=60, cut=2, lost=1,
        trained_tokens=200, steps_per_epoch=7, batch=4, accumulation=2, padding_share=0.25, refused=1, nothing_to_learn=3,
        warnings=[], first_refused=[RefusedRow(row=7, reason="no system turns")],
        histogram=CutHistogram(edges=[0, 32, 64, 96], counts=[1, 7, 2], cut=[9, 2, 0], lost=[9, 1, 0]),
    )  # fmt: skip
    tell_stats(found)
    said = capsys.readouterr().out
    assert "10 of 100 rows (a sample)" in said
    assert "rows truncated: 2; rows that lose their whole answer: 1" in said
    assert "7 steps per epoch with batch size 4 and 2 gradient accumulation steps" in said
    assert "row 7: no system turns" in said
    assert "Rows with nothing to train on at any length: 3" in said
    assert "padded batches would be 25% padding" in said
    [line] = [line for line in said.splitlines() if "<- max_length" in line]
    assert line.split()[:3] == ["32", "-", "64"]
