"""The contract between a run's status and the page that shows it."""

import re

from studio.runs.status import RunStatus, SamplePair
from tests.conftest import ROOT


def test_the_page_reads_the_fields_that_a_status_has() -> None:
    script = (ROOT / "studio" / "static" / "run_view.js").read_text(encoding="utf-8")
    typedefs = re.findall(r"@typedef \{\{(.*?)\}\} (\w+)", script.replace("\n *", ""), re.DOTALL)
    for name, model in (("Sample", SamplePair), ("Status", RunStatus)):
        (declared,) = [fields for fields, own in typedefs if own == name]
        outer = re.sub(r"\{[^{}]*\}\[\]", "list", declared)
        assert set(re.findall(r"(\w+):", outer)) <= set(model.model_fields), name
    read = set(
        re.findall(r"\bstatus\.(\w+)", script + (ROOT / "studio" / "static" / "run.js").read_text(encoding="utf-8"))
    )
    assert len(read) > 20
    assert read <= set(RunStatus.model_fields)
