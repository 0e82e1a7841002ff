import pytest

from studio.models.catalog import parameters


@pytest.mark.parametrize(
    ("count", "words"), [(134_515_008, "135M"), (999_600_000, "1.0B"), (1_543_714_304, "1.5B"), (None, "-"), (0, "-")]
)
def test_parameter_count_is_formatted(count: int | None, words: str) -> None:
    assert parameters(count) == words
