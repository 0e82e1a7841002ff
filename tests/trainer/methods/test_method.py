from typing import get_args

import pytest

from interfaces.config import FineTuneConfig
from interfaces.method_settings import Method
from tests.conftest import ROOT

pytestmark = pytest.mark.tiny


@pytest.mark.parametrize("name", get_args(Method))
def test_a_method_is_found_by_its_name(name: str) -> None:
    from trainer.methods.method import create_method
    from trainer.tokens.batches import flat_batch

    method = create_method(FineTuneConfig(method=name), chunked=True, collate=flat_batch)  # type: ignore[arg-type]
    assert type(method).__name__.lower() == name


def test_no_method_knows_another() -> None:
    names = get_args(Method)
    for name in names:
        text = (ROOT / f"trainer/methods/{name}.py").read_text(encoding="utf-8")
        assert not [other for other in names if f"trainer.methods.{other}" in text], name
