"""A result that ends a cell: through IPython's formatter, and in a notebook that is executed."""

from __future__ import annotations

import numpy as np
import pytest

import gradcheck
from tinytorch import op

CELL = """\
import numpy as np
import gradcheck
from tinytorch import op

half = op(lambda x: (x * x, lambda g: g * x))
gradcheck.check_gradients(half, np.ones(3))
"""


@op
def half(x):
    return x * x, lambda g: g * x


def test_html_says_what_the_text_says_and_escapes_it() -> None:
    result = gradcheck.check_gradients(half, np.ones(3))
    html = result._repr_html_()
    assert "FAILED" in html
    assert "constant factor of 1/2" in html
    assert "<b>fix:</b> look for a missing" in html
    finding = gradcheck.Finding(code="x", message="a <b> & c", lines=("<i>",), advice="<u>")
    html = gradcheck.Result(findings=(finding,), title="<t>")._repr_html_()
    assert "a &lt;b&gt; &amp; c" in html
    assert not any(tag in html for tag in ("<i>", "<u>", "<t>"))


def test_passed_and_skipped_results_have_a_line() -> None:
    assert "PASSED" in gradcheck.check_gradients(lambda x: x * x, np.ones(3))._repr_html_()
    assert "no data" in gradcheck.Result.skipped("the case has no data")._repr_html_()


def test_ipython_shows_the_html_and_a_short_line_as_text() -> None:
    formatters = pytest.importorskip("IPython.core.formatters")
    formatter = formatters.DisplayFormatter()
    shown, _ = formatter.format(gradcheck.check_gradients(half, np.ones(3)))
    assert "constant factor of 1/2" in shown["text/html"]
    assert shown["text/plain"].startswith("<Result failed: half::gradient: the pullback of op half")
    assert "\n" not in shown["text/plain"]


@pytest.mark.slow
def test_a_notebook_that_is_executed(tmp_path) -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
    nbclient.NotebookClient(book, timeout=120, kernel_name="python3").execute()
    (output,) = book.cells[0].outputs
    assert "constant factor of 1/2" in output["data"]["text/html"]
