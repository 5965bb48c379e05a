"""Solvers and ops that validate their arguments: LAPACK, distributions, and packages on top."""

# ruff: noqa: E501  a row is a program

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
import torch.distributions as D

from programs.drawing import Array, Draw, Program

L = torch.linalg
Row = tuple[Callable[..., Any], Callable[[Draw], Sequence[Array]]]


def square(n: int = 3, *batch: int) -> Callable[[Draw], Sequence[Array]]:
    return lambda d: [d.square(n, *batch)]


def spd(n: int = 3, *batch: int) -> Callable[[Draw], Sequence[Array]]:
    return lambda d: [d.spd(n, *batch)]


def tall(d: Draw) -> Sequence[Array]:
    return [d.normal(5, 3)]


def symmetric(run: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda a: run((a + a.mT) / 2)


LINALG: dict[str, Row] = {
    "svdvals": (L.svdvals, tall),
    "svd reconstructed": (lambda a: (lambda u, s, v: u @ torch.diag(s**2) @ v)(*L.svd(a, full_matrices=False)), tall),
    "svd of a wide one": (lambda a: L.svd(a.mT, full_matrices=False)[1], tall),
    "eigvalsh": (symmetric(L.eigvalsh), spd()),
    "eigh projector": (symmetric(lambda a: (lambda w, v: v[:, :1] @ v[:, :1].mT + w.sum())(*L.eigh(a))), spd()),
    "eigvals": (lambda a: torch.view_as_real(L.eigvals(a)).pow(2).sum(), square()),
    "qr": (lambda a: L.qr(a)[1], tall),
    "qr both": (lambda a: (lambda q, r: q * r.diagonal().sign())(*L.qr(a)), tall),
    "cholesky": (symmetric(L.cholesky), spd()),
    "cholesky batch": (symmetric(L.cholesky), spd(3, 2)),
    "cholesky_ex": (symmetric(lambda a: L.cholesky_ex(a)[0]), spd()),
    "cholesky_solve": (lambda a, b: torch.cholesky_solve(b, L.cholesky((a + a.mT) / 2)), lambda d: [d.spd(3), d.normal(3, 2)]),
    "cholesky_inverse": (symmetric(lambda a: torch.cholesky_inverse(L.cholesky(a))), spd()),
    "solve": (L.solve, lambda d: [d.square(3), d.normal(3, 2)]),
    "solve vector": (L.solve, lambda d: [d.square(3), d.normal(3)]),
    "solve batch": (L.solve, lambda d: [d.square(3, 2), d.normal(2, 3, 2)]),
    "solve_triangular": (lambda a, b: L.solve_triangular(a, b, upper=True), lambda d: [d.square(3), d.normal(3, 2)]),
    "lu_solve": (lambda a, b: L.lu_solve(*L.lu_factor(a), b), lambda d: [d.square(3), d.normal(3, 2)]),
    "lu": (lambda a: L.lu(a)[2], square()),
    "lstsq": (lambda a, b: L.lstsq(a, b).solution, lambda d: [d.normal(5, 3), d.normal(5, 2)]),
    "inv": (L.inv, square()),
    "inv batch": (L.inv, square(2, 3)),
    "inv_ex": (lambda a: L.inv_ex(a)[0], square()),
    "pinv": (L.pinv, tall),
    "pinv hermitian": (symmetric(lambda a: L.pinv(a, hermitian=True)), spd()),
    "det": (L.det, square()),
    "det singular": (lambda a: L.det(torch.cat([a[:1], a[:2]])), square()),
    "slogdet": (lambda a: L.slogdet(a)[1], square()),
    "logdet": (torch.logdet, spd()),
    "matrix_exp": (L.matrix_exp, lambda d: [d.normal(3, 3)]),
    "matrix_power": (lambda a: L.matrix_power(a, -2), square()),
    "multi_dot": (lambda a, b, c: L.multi_dot([a, b, c]), lambda d: [d.normal(2, 3), d.normal(3, 4), d.normal(4, 2)]),
    "cond": (lambda a: L.cond(a), square()),
    "cond fro": (lambda a: L.cond(a, "fro"), square()),
    "nuclear norm": (lambda a: L.matrix_norm(a, "nuc"), tall),
    "spectral norm": (lambda a: L.matrix_norm(a, 2), tall),
    "frobenius norm": (L.matrix_norm, tall),
    "tensorinv": (lambda a: L.tensorinv(a.reshape(2, 2, 4), 2), square(4)),
    "tensorsolve": (lambda a, b: L.tensorsolve(a.reshape(2, 2, 4), b), lambda d: [d.square(4), d.normal(2, 2)]),
    "householder_product": (L.householder_product, lambda d: [d.normal(4, 2), d.unit(2)]),
    "vander": (L.vander, lambda d: [d.normal(4)]),
    "log det of gram": (lambda x: 2 * L.cholesky(x @ x.mT + torch.eye(3, dtype=x.dtype)).diagonal().log().sum(), lambda d: [d.normal(3, 4)]),
    "gaussian process": (lambda x, y: (y @ torch.cholesky_solve(y[:, None], L.cholesky((-torch.cdist(x, x).pow(2)).exp() + 0.1 * torch.eye(4, dtype=x.dtype)))).sum(), lambda d: [d.normal(4, 2), d.normal(4)]),
}  # fmt: skip


IMPLICIT = (D.Gamma, D.InverseGamma, D.Beta, D.Chi2, D.StudentT, D.FisherSnedecor)


def distribution(make: Callable[..., Any], *kinds: str, at: str = "normal") -> dict[str, Row]:
    """Its log probability by its value and parameters, and samples where they are a function of the
    parameters: the gradient of a sample that is drawn by rejection (`IMPLICIT`) is that of its
    quantile, and right in expectation only."""

    def inputs(d: Draw) -> list[Array]:
        return [getattr(d, kind)(3) for kind in kinds]

    def log_prob(value: Any, *parameters: Any) -> Any:
        return make(*parameters).log_prob(value)

    def rsample(*parameters: Any) -> Any:
        torch.manual_seed(5)
        return make(*parameters).rsample((2,))

    rows: dict[str, Row] = {
        "log_prob": (log_prob, lambda d: [getattr(d, at)(3), *inputs(d)]),
    }
    if make not in IMPLICIT and make(*[torch.tensor(a) for a in inputs(Draw(0))]).has_rsample:
        rows["rsample"] = (rsample, inputs)
    return rows


DISTRIBUTIONS: dict[str, dict[str, Row]] = {
    "normal": distribution(D.Normal, "normal", "positive"),
    "log_normal": distribution(D.LogNormal, "normal", "positive", at="positive"),
    "laplace": distribution(D.Laplace, "normal", "positive"),
    "cauchy": distribution(D.Cauchy, "normal", "positive"),
    "half_normal": distribution(D.HalfNormal, "positive", at="positive"),
    "half_cauchy": distribution(D.HalfCauchy, "positive", at="positive"),
    "gumbel": distribution(D.Gumbel, "normal", "positive"),
    "exponential": distribution(D.Exponential, "positive", at="positive"),
    "gamma": distribution(D.Gamma, "positive", "positive", at="positive"),
    "inverse_gamma": distribution(D.InverseGamma, "positive", "positive", at="positive"),
    "beta": distribution(D.Beta, "positive", "positive", at="unit"),
    "chi2": distribution(D.Chi2, "positive", at="positive"),
    "student_t": distribution(D.StudentT, "positive", "normal", "positive"),
    "fisher_snedecor": distribution(D.FisherSnedecor, "above_one", "above_one", at="positive"),
    "weibull": distribution(D.Weibull, "positive", "positive", at="positive"),
    "pareto": distribution(D.Pareto, "unit", "positive", at="above_one"),
    "kumaraswamy": distribution(D.Kumaraswamy, "positive", "positive", at="unit"),
    "von_mises": distribution(D.VonMises, "normal", "positive"),
    "logistic_normal": distribution(lambda m, s: D.Normal(m, s).expand((3,)), "normal", "positive"),
    "continuous_bernoulli": distribution(D.ContinuousBernoulli, "unit", at="unit"),
    "relaxed_bernoulli": distribution(lambda p: D.RelaxedBernoulli(torch.tensor(0.7, dtype=p.dtype), p), "unit", at="unit"),
    "uniform": {"rsample": distribution(lambda a, w: D.Uniform(a, a + w), "normal", "positive")["rsample"]},
    "dirichlet": {"log_prob": (lambda a, x: D.Dirichlet(a).log_prob(x / x.sum()), lambda d: [d.positive(3), d.positive(3)])},
    "categorical": {"log_prob": (lambda i, x: D.Categorical(logits=x).log_prob(i), lambda d: [d.ids(4, 3), d.normal(3, 4)]),
                    "entropy": (lambda x: D.Categorical(logits=x).entropy(), lambda d: [d.normal(3, 4)])},
    "bernoulli": {"log_prob": (lambda m, p: D.Bernoulli(p).log_prob(m.to(p.dtype)), lambda d: [d.mask(3), d.unit(3)])},
    "poisson": {"log_prob": (lambda i, r: D.Poisson(r).log_prob(i), lambda d: [d.ids(5, 3), d.positive(3)])},
    "geometric": {"log_prob": (lambda i, p: D.Geometric(p).log_prob(i), lambda d: [d.ids(5, 3), d.unit(3)])},
    "negative_binomial": {"log_prob": (lambda i, p: D.NegativeBinomial(6, p).log_prob(i), lambda d: [d.ids(5, 3), d.unit(3)])},
    "multivariate_normal": {
        "log_prob": (lambda x, m, c: D.MultivariateNormal(m, (c + c.mT) / 2).log_prob(x), lambda d: [d.normal(3), d.normal(3), d.spd(3)]),
        "rsample": (lambda m, c: (torch.manual_seed(5), D.MultivariateNormal(m, (c + c.mT) / 2).rsample())[1], lambda d: [d.normal(3), d.spd(3)]),
    },
    "low_rank_normal": {"log_prob": (lambda x, w, v: D.LowRankMultivariateNormal(x * 0, w, v).log_prob(x), lambda d: [d.normal(3), d.normal(3, 2), d.positive(3)])},
    "mixture": {"log_prob": (lambda x, w, m: D.MixtureSameFamily(D.Categorical(logits=w), D.Normal(m, 1.0)).log_prob(x), lambda d: [d.normal(4), d.normal(3), d.normal(3)])},
    "transformed": {"log_prob": (lambda x, m: D.TransformedDistribution(D.Normal(m, 1.0), [D.SigmoidTransform()]).log_prob(x), lambda d: [d.unit(3), d.normal(3)])},
    "kl": {"normal": (lambda m, s: D.kl_divergence(D.Normal(m, s), D.Normal(0.0, 1.0)), lambda d: [d.normal(3), d.positive(3)]),
           "gamma": (lambda a, b: D.kl_divergence(D.Gamma(a, b), D.Gamma(b, a)), lambda d: [d.positive(3), d.positive(3)]),
           "beta": (lambda a, b: D.kl_divergence(D.Beta(a, b), D.Beta(b, a)), lambda d: [d.positive(3), d.positive(3)])},
}  # fmt: skip


def _entmax() -> dict[str, Row]:
    entmax = importlib.import_module("entmax")
    x = lambda d: [d.normal(3, 4)]  # noqa: E731
    y = lambda d: [d.normal(3, 4), d.ids(4, 3)]  # noqa: E731
    return {
        "sparsemax": (entmax.sparsemax, x),
        "entmax15": (entmax.entmax15, x),
        "entmax_bisect": (lambda x: entmax.entmax_bisect(x, 1.3), x),
        "sparsemax_loss": (lambda x, i: entmax.sparsemax_loss(x, i), y),
        "entmax15_loss": (lambda x, i: entmax.entmax15_loss(x, i), y),
    }


def _linear_operator() -> dict[str, Row]:
    lo = importlib.import_module("linear_operator")
    both = lambda d: [d.spd(3), d.normal(3)]  # noqa: E731
    dense = lambda a: lo.operators.DenseLinearOperator((a + a.mT) / 2)  # noqa: E731
    return {
        "solve": (lambda a, b: dense(a).solve(b[:, None]), both),
        "inv_quad": (lambda a, b: dense(a).inv_quad(b[:, None]), both),
        "logdet": (lambda a: dense(a).logdet(), lambda d: [d.spd(3)]),
        "inv_quad_logdet": (lambda a, b: sum(dense(a).inv_quad_logdet(b[:, None], logdet=True)), both),
        "add_diagonal": (lambda a, b: dense(a).add_diagonal(b.exp()).logdet(), both),
        "toeplitz": (lambda c, b: lo.operators.ToeplitzLinearOperator(c) @ b, lambda d: [d.normal(4), d.normal(4)]),
        "kronecker": (lambda a, b: lo.operators.KroneckerProductLinearOperator(dense(a), dense(a)) @ b, lambda d: [d.spd(2), d.normal(4)]),
    }  # fmt: skip


def _gpytorch() -> dict[str, Row]:
    gpytorch = importlib.import_module("gpytorch")

    def kernel(name: str) -> Callable[..., Any]:
        return lambda x: getattr(gpytorch.kernels, name)().double()(x).to_dense()

    return {n: (kernel(n), lambda d: [d.normal(4, 2)]) for n in ("RBFKernel", "MaternKernel", "RQKernel")}  # fmt: skip


def _torchdiffeq() -> dict[str, Row]:
    ode = importlib.import_module("torchdiffeq")

    def solved(method: str) -> Callable[..., Any]:
        return lambda x, w: ode.odeint(
            lambda t, y: torch.tanh(y @ w), x, torch.linspace(0, 1, 3, dtype=x.dtype), method=method
        )

    inputs = lambda d: [d.normal(2, 3), d.inside(3, 3)]  # noqa: E731
    return {method: (solved(method), inputs) for method in ("euler", "rk4", "midpoint", "dopri5")}


def _qpth() -> dict[str, Row]:
    qp = importlib.import_module("qpth.qp")

    def solve(q: Any, p: Any) -> Any:
        one, none = torch.eye(3, dtype=q.dtype), torch.empty(0, dtype=q.dtype)
        return qp.QPFunction(verbose=-1)(q + one, p, -one, one[0] * 0 + 1, none, none)

    return {"qp": (lambda q, p: solve(q @ q.mT, p), lambda d: [d.normal(3, 3), d.normal(3)])}


def _torch_struct() -> dict[str, Row]:
    struct = importlib.import_module("torch_struct")
    return {
        "linear_chain": (lambda x: struct.LinearChainCRF(x).partition, lambda d: [d.normal(2, 3, 2, 2)]),
        "dependency_tree": (lambda x: struct.DependencyCRF(x).partition, lambda d: [d.normal(1, 3, 3)]),
    }  # fmt: skip


def _xitorch() -> dict[str, Row]:
    xl = importlib.import_module("xitorch.linalg")
    xt = importlib.import_module("xitorch")
    m = lambda a: xt.LinearOperator.m((a + a.mT) / 2, is_hermitian=True)  # noqa: E731
    return {
        "symeig": (lambda a: xl.symeig(m(a))[0], lambda d: [d.spd(3)]),
        "solve": (lambda a, b: xl.solve(m(a), b), lambda d: [d.spd(3), d.normal(3, 2)]),
    }


PACKAGES: dict[str, Callable[[], dict[str, Row]]] = {
    "entmax": _entmax,
    "linear_operator": _linear_operator,
    "gpytorch": _gpytorch,
    "torchdiffeq": _torchdiffeq,
    "qpth": _qpth,
    "torch_struct": _torch_struct,
    "xitorch": _xitorch,
}
"""Taken where they are installed."""


def programs() -> Iterator[Program]:
    tables = {"linalg": LINALG, **DISTRIBUTIONS}
    for package, rows in PACKAGES.items():
        try:
            tables[package] = rows()
        except ImportError:
            continue
    for group, table in tables.items():
        for name, (fn, inputs) in table.items():
            yield Program(f"{group}.{name.replace(' ', '_')}", "pytorch", fn, inputs)


def missing() -> list[str]:
    """The packages that are not installed here."""
    return [p for p in PACKAGES if importlib.util.find_spec(p) is None]
