"""The museum's list: wrong gradients that shipped, by package and version."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Exhibit:
    """One real bug.

    name: of the program in `programs/`. shipped: what to install, the first one has the bug; none
    of their dependencies are installed unless listed. mended: the same with a version that is
    right; () where there is none, and then the program has a right formula of its own. what: the
    bug in a sentence. op: how a finding must name the function.
    """

    name: str
    shipped: tuple[str, ...]
    what: str
    op: str
    mended: tuple[str, ...] = ()


EXHIBITS = (
    Exhibit(
        "pypose_adjt",
        ("pypose==0.9.5",),
        "the backward of X.AdjT(a) uses the adjoint where its transpose belongs",
        "SE3_AdjTXa",
    ),
    Exhibit(
        "pypose_sim3_adjt",
        ("pypose==0.9.5",),
        "the same for similarity transformations",
        "Sim3_AdjTXa",
    ),
    Exhibit(
        "wavelets_symmetric",
        ("pytorch_wavelets==1.3.0", "pywavelets==1.9.0"),
        "with symmetric padding the adjoint is not the synthesis bank",
        "AFB2D",
    ),
    Exhibit(
        "wavelets_reflect",
        ("pytorch_wavelets==1.3.0", "pywavelets==1.9.0"),
        "with reflecting padding the adjoint is not the synthesis bank",
        "AFB1D",
    ),
    Exhibit(
        "wavelets_periodization",
        ("pytorch_wavelets==1.3.0", "pywavelets==1.9.0"),
        "periodization of an odd length repeats the last sample, and the backward forgets it",
        "AFB1D",
    ),
    Exhibit(
        "struct_sparsemax",
        ("torch-struct==0.5",),
        "the forward subtracts the norm of w where half of its square belongs",
        "_SimplexProject",
    ),
    Exhibit(
        "diffsort_normal",
        ("diffsort==0.2.0",),
        "sigma is saved in float32 for a backward in float64",
        "NormalCDF",
    ),
    Exhibit(
        "difftopk_normal",
        ("difftopk==0.2.0",),
        "sigma is saved in float32 for a backward in float64",
        "NormalCDF",
    ),
    Exhibit(
        "torch_hardsigmoid",
        (),
        "the CPU kernel has one sixth in float32, also for float64",
        "hardsigmoid",
    ),
)
