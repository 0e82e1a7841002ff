from interfaces.errors import FineTuneError
from interfaces.problems import Code, Problem


def test_error_text_is_english_and_keeps_all_problems() -> None:
    error = FineTuneError(
        Problem.error(Code.FILE_MISSING, path="a.json"), Problem.error(Code.FILE_EMPTY, path="b.json")
    )
    assert len(error.problems) == 2
    assert "a.json" in str(error)
    assert "b.json" in str(error)
