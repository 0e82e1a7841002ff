import inspect
from pathlib import Path
from typing import Any

import pytest

from interfaces import IFineTuneService


@pytest.mark.parametrize(
    ("method", "parameters", "returns"),
    [
        ("train", {"config": "dict[str, Any]"}, "dict[str, Any]"),
        ("export_model", {"output_path": "Path"}, "Path"),
        ("validate_config", {"config": "dict[str, Any]"}, "bool"),
    ],
)
def test_signatures_match_the_requirements(method: str, parameters: dict[str, str], returns: str) -> None:
    signature = inspect.signature(getattr(IFineTuneService, method))
    assert {name: p.annotation for name, p in signature.parameters.items() if name != "self"} == parameters
    assert signature.return_annotation == returns


def test_missing_method_fails_at_construction() -> None:
    class Half(IFineTuneService):
        def train(self, config: dict[str, Any]) -> dict[str, Any]:
            return {}

        def export_model(self, output_path: Path) -> Path:
            return output_path

    with pytest.raises(TypeError, match="validate_config"):
        Half()  # type: ignore[abstract]


def test_interface_has_exactly_three_abstract_methods() -> None:
    assert IFineTuneService.__abstractmethods__ == {"train", "export_model", "validate_config"}
