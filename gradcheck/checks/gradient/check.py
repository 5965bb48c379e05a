"""The check `gradient`: analytic against numeric gradients, op by op and end to end."""

from __future__ import annotations

from gradcheck.checks.base import Options
from gradcheck.checks.gradient.declared import examine_declared
from gradcheck.checks.gradient.options import GradientOptions
from gradcheck.checks.gradient.single import wrong_in_float32
from gradcheck.checks.gradient.variants import Variants
from gradcheck.numerics.core.threads import one_blas_thread
from gradcheck.numerics.telling.blame import at_home
from gradcheck.probe.subject import Subject
from gradcheck.result import Result, each_once
from gradcheck.yamlcases.case import Case


class Gradient:
    """Every gradient equals the numeric one: each op entry by entry, each tensor end to end."""

    name = "gradient"
    Options: type[Options] = GradientOptions

    def applies(self, case: Case) -> str | None:
        return None

    def run(self, subject: Subject, options: GradientOptions) -> Result:
        """At the declared point; where an op is right there, at its derived inputs too."""
        with one_blas_thread():
            if subject.framework.precision.data == "float64" and subject.dtype != "float64":
                subject = subject.fresh(dtype="float64")
            done = examine_declared(subject, options)
            declared = subject.declared
            if declared is None or done.reason is not None:
                return done.result()
            if done.findings:
                done.findings = [at_home(f, declared.home) for f in done.findings]
                return done.result()
            tried = Variants(subject, declared, options)
            tried.run()
            done.findings = tried.findings
            done.notes += each_once(tried.notes)
            if not done.findings and not options.approximate:
                done.findings = list(wrong_in_float32(subject))
            return done.result(tried.measurements())
