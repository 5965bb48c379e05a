"""A script that writes, renames and removes believes what it did; the files say otherwise."""

import json
import subprocess
import sys

from gradcheck.watch.scratch import Scratch

SCRIPT = """
import glob, json, os, pathlib, shutil, sys, tempfile
import numpy as np
from gradcheck.watch.scratch import Scratch

scratch = Scratch(sys.argv[1])
scratch.install()
os.makedirs("out/deep", exist_ok=True)
os.makedirs("out/deep", exist_ok=True)
with open("out/deep/log.txt", "w") as f:
    f.write("one\\n")
with open("out/deep/log.txt", "a") as f:
    f.write("two\\n")
assert open("out/deep/log.txt").read() == "one\\ntwo\\n"
pathlib.Path("out/x.json").write_text(json.dumps({"a": 1}))
assert pathlib.Path("out/x.json").exists()
np.save("out/a.npy", np.arange(3))
assert np.load("out/a.npy").tolist() == [0, 1, 2]
with open("kept.txt", "a") as f:
    f.write("more")
assert open("kept.txt").read() == "keptmore"
os.remove("other.txt")
assert not os.path.exists("other.txt")
os.rename("moved.txt", "there.txt")
assert open("there.txt").read() == "moved" and not os.path.exists("moved.txt")
assert sorted(os.listdir(".")) == ["data", "kept.txt", "out", "there.txt"], os.listdir(".")
assert sorted(glob.glob("out/*")) == ["out/a.npy", "out/deep", "out/x.json"]
assert os.listdir("data") == ["in.txt"]
with open("data/new.txt", "x") as f:
    f.write("n")
assert sorted(e.name for e in os.scandir("data")) == ["in.txt", "new.txt"]
shutil.rmtree("out/deep")
assert not os.path.exists("out/deep")
try:
    open("nowhere/file.txt", "w")
except FileNotFoundError:
    pass
else:
    raise AssertionError("a folder that is not there was made up")
with tempfile.NamedTemporaryFile() as f:
    f.write(b"x")
print("done")
"""


def test_everything_that_python_writes_goes_to_the_scratch_folder(tmp_path):
    home, scratch = tmp_path / "home", tmp_path / "scratch"
    for folder in (home, home / "data", scratch, scratch / "tmp"):
        folder.mkdir()
    for name in ("kept", "other", "moved"):
        (home / f"{name}.txt").write_text(name)
    (home / "data" / "in.txt").write_text("in")
    before = {p: p.read_text() for p in home.rglob("*.txt")}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(scratch)],
        cwd=home, capture_output=True, text=True, env={"TMPDIR": str(scratch / "tmp")},
    )  # fmt: skip
    assert done.stdout == "done\n", done.stderr
    assert {p: p.read_text() for p in home.rglob("*.txt")} == before
    assert sorted(p.name for p in home.iterdir()) == ["data", "kept.txt", "moved.txt", "other.txt"]


def test_the_stand_in_of_a_path_lies_in_the_folder(tmp_path):
    scratch = Scratch(tmp_path)
    assert scratch.shadow("/a/b.txt") == f"{scratch.folder}/files/a/b.txt"
    assert all(map(scratch.is_ours, (tmp_path / "x", 3, "/dev/null")))
    assert not scratch.is_ours("/a/b.txt")
    assert json.dumps(scratch.written) == "[]"
