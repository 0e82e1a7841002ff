from importlib import metadata
from pathlib import Path

import pytest

from interfaces.errors import FineTuneError
from interfaces.problems import Code
from tests.support.fakes import install
from trainer.training.requirements import require_versions


def test_what_is_installed_here_fits() -> None:
    require_versions()


@pytest.mark.parametrize("version", ["4.57.1", "6.0.0"])
def test_incompatible_library_is_named_with_required_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    install(tmp_path, "transformers", version)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert metadata.version("transformers") == version
    with pytest.raises(FineTuneError) as raised:
        require_versions()
    (problem,) = raised.value.problems
    assert (problem.code, problem.params["value"]) == (Code.VERSIONS_UNFIT, version)
    assert "pip install 'transformers" in str(raised.value)
