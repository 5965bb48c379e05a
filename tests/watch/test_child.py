"""What the process of a script needs is there: imported here, as its own tests are slow."""

import gradcheck.watch.child
from gradcheck.frameworks.protocol import Cut
from gradcheck.watch.spec import Spec, Trial, spec_of, write


def test_a_spec_crosses_to_the_process_unchanged(tmp_path):
    cut = Cut("rebuilt", "a.py:3", "x", upstream=("w", "b"), shape=(2, 3))
    trial = Trial("rate", "r.json", factor=10.0, bridge=(cut,), names=("0:w",))
    spec = Spec("a.py", ("--lr", "1"), "s", ("plugins",), "report.json", trial=trial)
    write(tmp_path / "spec.json", spec)
    assert spec_of(tmp_path / "spec.json") == spec
    assert gradcheck.watch.child.main
