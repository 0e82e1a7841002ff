import errno
from pathlib import Path

import pytest

from interfaces.disk import at, disk_full, free_bytes, problem_of_os_error, require_space
from interfaces.errors import FineTuneError
from interfaces.problems import Code


def test_no_space_names_the_place_and_both_figures() -> None:
    problem = problem_of_os_error(OSError(errno.ENOSPC, "No space left on device", "/some/file"), Path("/"))
    assert problem is not None
    assert problem.code == Code.DISK_FULL
    assert problem.params["path"] == "/some/file"
    assert problem.params["free"] >= 0
    assert problem.params["needed"] == "more"  # how much more, nobody has said


def test_write_protection_and_disk_errors_are_distinguished(tmp_path: Path) -> None:
    denied = problem_of_os_error(PermissionError(errno.EACCES, "Permission denied", "/x"), Path("/"))
    assert denied is not None
    assert denied.code == Code.NOT_WRITABLE
    broken = problem_of_os_error(OSError(errno.EIO, "Input/output error"), tmp_path)
    assert broken is not None
    assert broken.code == Code.DISK_ERROR
    assert broken.params["path"] == str(tmp_path)
    assert broken.params["free"] > 0
    assert problem_of_os_error(OSError(errno.EINVAL, "Invalid argument"), Path("/")) is None


def test_error_without_file_name_gets_one() -> None:
    for name, reported in ((None, "/worked/on"), ("/its/own", "/its/own")):
        with pytest.raises(OSError, match="full") as raised, at(Path("/worked/on")):
            raise OSError(errno.ENOSPC, "full", name)
        assert raised.value.filename == reported


def test_missing_space_is_reported_before_the_work(tmp_path: Path) -> None:
    place = tmp_path / "not" / "there" / "yet"
    require_space(place, 1)
    with pytest.raises(FineTuneError) as raised:
        require_space(place, 10**18)
    assert raised.value.problems[0].params["needed"] == 10**18
    assert free_bytes(place) > 0
    assert disk_full(place, 5).params["path"] == str(place)
