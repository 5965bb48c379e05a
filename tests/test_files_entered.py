"""How much of gradcheck/ somebody walks through who follows a passing case: pinned as a bound.

A file counts when one of its functions runs; what runs while modules are imported does not.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

PROGRAM = """
import inspect, sys, threading
import pytest

home, case = sys.argv[1:]
entered = {"run": set(), "item": set()}
inside = ["run"]
FUNCTION = inspect.CO_OPTIMIZED | inspect.CO_NEWLOCALS

def look(frame, event, arg):
    code = frame.f_code
    named = code.co_flags & FUNCTION == FUNCTION and not code.co_name.startswith("<")
    if event == "call" and named and code.co_filename.startswith(home):
        entered[inside[-1]].add(code.co_filename[len(home):])

class Item:
    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self):
        inside.append("item")
        result = yield
        inside.pop()
        return result

threading.setprofile(look)
sys.setprofile(look)
code = pytest.main(["-q", "-p", "no:cacheprovider", "--gradcheck", case], plugins=[Item()])
sys.setprofile(None)
print("COUNTS", int(code), len(entered["item"]), len(entered["run"] | entered["item"]))
for file in sorted(entered["run"] | entered["item"]):
    print("item" if file in entered["item"] else "run ", file)
"""


@pytest.mark.slow
def test_a_passing_gradient_case_of_a_model_enters_few_files():
    """item: from the first line that runs for it to its entry; all: the whole command, with
    options, collection, plugins and the summary."""
    case = "cases/transformer/gpt.yaml::gpt_1_layer::gradient"
    command = [sys.executable, "-c", PROGRAM, f"{ROOT / 'gradcheck'}/", case]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    line = next(x for x in run.stdout.splitlines() if x.startswith("COUNTS"))
    failed, item, whole = (int(word) for word in line.split()[1:])
    assert not failed, run.stdout
    assert item <= 54, run.stdout
    assert whole <= 83, run.stdout
