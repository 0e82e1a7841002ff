import pytest

from studio.cli.console import duration, figures, print_table


def test_columns_are_as_wide_as_they_need_to_be(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["ID", "STATE"], [["a-long-id", "running"], ["b", "-"]])
    assert capsys.readouterr().out.splitlines() == ["ID         STATE", "a-long-id  running", "b          -"]


def test_figures_and_times_as_a_person_reads_them() -> None:
    assert figures(1.23456, None) == "1.235 > -"
    assert (duration(59.6), duration(3599), duration(7260)) == ("1m00s", "59m59s", "2h01m")
