from typing import Any

import pytest

from interfaces.problems import Code
from trainer.data.cells import RowError
from trainer.data.media import refuse_media


@pytest.mark.parametrize(
    "values",
    [
        {"images": ["a/b/000001"]},
        {"images": "['clip']"},
        {"videos": ["clip_0001"]},
        {"image_paths": ["x"]},
        {"image": "https://example.org/get?id=4"},
        {"image": "data:image/png;base64,iVBOR"},
        {"image": "iVBORw0KGgo" * 10},
        {"image_url": "https://example.org/a"},
        {"audio": {"bytes": b"RIFF", "path": None}},
        {"video": "a.MP4"},
    ],
)
def test_files_are_refused_however_they_are_named(values: dict[str, Any]) -> None:
    with pytest.raises(RowError) as raised:
        refuse_media({"prompt": "q", **values})
    assert (raised.value.code, raised.value.params["field"]) == (Code.ROW_HAS_MEDIA, next(iter(values)))


@pytest.mark.parametrize("values", [{"images": []}, {"images": [None]}, {"image": "a lamp on a table"}, {"video": ""}])
def test_words_and_nothing_are_no_files(values: dict[str, Any]) -> None:
    refuse_media({"prompt": "q", **values})
