from importlib import metadata
from pathlib import Path

import pytest

from interfaces.problems import Code, FineTuneError
from trainer.requirements import require_versions


def install(folder: Path, name: str, version: str) -> None:
    """What an installed library leaves of itself for whoever asks."""
    place = folder / f"{name}-{version}.dist-info"
    place.mkdir()
    (place / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def test_what_is_installed_here_fits() -> None:
    require_versions()


@pytest.mark.parametrize("version", ["4.57.1", "6.0.0"])
def test_a_library_that_is_too_old_or_too_new_is_named_with_what_to_install(
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
