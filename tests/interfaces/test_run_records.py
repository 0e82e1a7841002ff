import pytest

from interfaces.errors import FineTuneError
from interfaces.files import write_json
from interfaces.folders import Home
from interfaces.run_records import BaseOrigin, DatasetOrigin, Lineage, Machine, RunMeta

LINEAGE = Lineage(
    dataset=DatasetOrigin(id="abc", name="rows.jsonl", rows=3, sha256="00"),
    base=BaseOrigin(name="starter", requested="starter", revision=None),
    machine=Machine(device="cpu", dtype="float32", threads=2, batches="flat", logits="trained"),
    versions={"torch": "2.13.0"},
)


def test_what_is_written_is_read_again(home: Home) -> None:
    folder = home.create_run()
    LINEAGE.write(folder)
    assert Lineage.of(folder) == LINEAGE
    meta = RunMeta(name="mine", dataset="rows.jsonl", dataset_id="abc")
    meta.write(folder)
    assert RunMeta.of(folder) == meta


@pytest.mark.parametrize("text", ["", "{}", '{"base": 3}', "[1]", "\x00"])
def test_damaged_and_missing_records_are_as_none(home: Home, text: str) -> None:
    folder = home.create_run()
    assert (Lineage.of(folder), RunMeta.of(folder)) == (None, RunMeta())
    folder.lineage.write_text(text)
    folder.meta.write_text(text)
    assert (Lineage.of(folder), RunMeta.of(folder)) == (None, RunMeta())


def test_records_of_another_version_are_refused_with_their_place(home: Home) -> None:
    folder = home.create_run()
    for path, read in ((folder.lineage, Lineage.of), (folder.meta, RunMeta.of)):
        write_json(path, {"schema_version": 99})
        with pytest.raises(FineTuneError, match="99"):
            read(folder)
