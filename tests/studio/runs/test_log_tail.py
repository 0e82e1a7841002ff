import traceback
from pathlib import Path

from studio.runs.log_tail import LOG_BYTES, find_in_log, last_lines, tail_of


def test_the_end_of_a_huge_log_is_plain_text(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"x" * 3 * LOG_BYTES + b"\nbar 1\rbar 2\x1b[0m\n\xff\nlast\n\n")
    assert len(tail_of(log)) <= LOG_BYTES
    assert last_lines(log, 3) == ["bar 2[0m", "\ufffd", "last"]
    assert tail_of(tmp_path / "none") == ""


def test_evidence_has_only_the_exception_of_a_traceback(tmp_path: Path) -> None:
    log = tmp_path / "log"
    try:
        try:
            raise KeyError("inner")
        except KeyError as error:
            raise ValueError("outer\nsecond line") from error
    except ValueError:
        log.write_text("loading\nThe run failed\n" + traceback.format_exc() + "bye\n")
    assert last_lines(log, 9) == [
        "loading",
        "The run failed",
        "KeyError: 'inner'",
        "ValueError: outer",
        "second line",
        "bye",
    ]


def test_lines_are_found_in_the_whole_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("A Warning here\n" + "filler\n" * LOG_BYTES + "10%\r20% warning\n")
    assert find_in_log(log, "warning") == ["1: A Warning here", f"{LOG_BYTES + 2}: 20% warning"]
    assert find_in_log(log, "filler", most=2) == [f"{LOG_BYTES}: filler", f"{LOG_BYTES + 1}: filler"]
    assert find_in_log(tmp_path / "none", "x") == []
