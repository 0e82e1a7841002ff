"""The records of an export are read as they were written, and a damaged one is refused or counts as none."""

from __future__ import annotations

import pytest

from interfaces.errors import FineTuneError
from interfaces.exports import Comparison, ExportRecord, ExportRequest, Proof, ProofRow
from interfaces.folders import Home
from interfaces.job_folders import ExportFolder

ROW = ProofRow(prompt="Q", taught=True, reference="a", answer="b", differs_at=2, margin=0.5)


def test_records_are_read_as_they_were_written(home: Home) -> None:
    folder = ExportFolder.create(home.create_run())
    request = ExportRequest(kind="gguf", quantization="q8_0", step=3, name="x.gguf")
    request.write(folder)
    assert ExportRequest.of(folder) == request
    compared = Comparison(
        way="llama_cpp", number_format="q8_0", rows=[ROW, ROW.model_copy(update={"differs_at": None})]
    )
    assert compared.equal == 1
    record = ExportRecord(path="/x", bytes=3, proof=Proof(exported=compared, control=compared, tokens=16, passed=True))
    assert ExportRecord.of(folder) is None
    record.write(folder)
    assert ExportRecord.of(folder) == record


def test_damaged_records(home: Home) -> None:
    folder = ExportFolder.create(home.create_run())
    folder.config.write_text('{"kind": "onnx"}')
    with pytest.raises(FineTuneError):
        ExportRequest.of(folder)
    folder.record.write_text("{")
    assert ExportRecord.of(folder) is None
