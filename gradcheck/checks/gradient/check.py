"""The check `gradient`: analytic against numeric gradients, op by op and end to end."""

from __future__ import annotations

import dataclasses

from gradcheck.checks.base import Options
from gradcheck.checks.gradient.declared import examine_declared
from gradcheck.checks.gradient.options import GradientOptions
from gradcheck.checks.gradient.precision import look
from gradcheck.checks.gradient.single import wrong_in_float32
from gradcheck.checks.gradient.variants import Variants
from gradcheck.numerics.core.threads import one_blas_thread
from gradcheck.numerics.telling.blame import at_home
from gradcheck.probe.subject import Subject
from gradcheck.result import Result, each_once
from gradcheck.yamlcases.case import Case

SIXTEEN_BITS = ("float16", "bfloat16")


class Gradient:
    """Every gradient equals the numeric one: each op entry by entry, each tensor end to end."""

    name = "gradient"
    Options: type[Options] = GradientOptions

    def applies(self, case: Case) -> str | None:
        return None

    def run(self, subject: Subject, options: GradientOptions) -> Result:
        """In float64; where all is right there and the case has 16 bits, in its own dtype too."""
        with one_blas_thread():
            result = self._in_float64(subject, options)
            if result.outcome != "passed" or subject.dtype not in SIXTEEN_BITS:
                return result
            low = look(subject, [subject.dtype], memory=False)
            return dataclasses.replace(
                result,
                findings=low.findings,
                notes=(*result.notes, *low.notes, *([low.reason] if low.reason else [])),
                measurements={**low.measurements, **result.measurements},
            )

    def _in_float64(self, subject: Subject, options: GradientOptions) -> Result:
        """At the declared point; where an op is right there, at its derived inputs too."""
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
