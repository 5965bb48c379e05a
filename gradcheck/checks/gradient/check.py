"""The check `gradient`: analytic against numeric gradients, op by op and end to end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradcheck.checks.base import Options
from gradcheck.checks.gradient.options import GradientOptions
from gradcheck.checks.gradient.variants import Variants, counted_variants
from gradcheck.numerics.core.threads import one_blas_thread
from gradcheck.numerics.examine import look
from gradcheck.numerics.telling.blame import at_home
from gradcheck.numerics.telling.merge import merged
from gradcheck.probe.subject import Subject
from gradcheck.result import Json, Result, each_once
from gradcheck.shards import Shard
from gradcheck.yamlcases.case import Case


class Gradient:
    """Every gradient equals the numeric one: each op entry by entry, each tensor end to end."""

    name = "gradient"
    Options: type[Options] = GradientOptions

    def applies(self, case: Case) -> str | None:
        return None

    def run(self, subject: Subject, options: GradientOptions) -> Result:
        return self.merge([self.run_shard(subject, options, Shard())], options)

    def run_shard(self, subject: Subject, options: GradientOptions, shard: Shard) -> Json:
        """At the declared point some op calls, leaves and entries; of an op some derived inputs."""
        with one_blas_thread():
            if subject.framework.precision.data == "float64" and subject.dtype != "float64":
                subject = subject.fresh(dtype="float64")
            settings = settings_of(options)
            point = look(subject, seed=subject.seed, shard=shard, budget=options.budget, **settings)
            part: Json = {"point": point, "home": None, "variants": None}
            if subject.declared is not None:
                part["home"] = subject.declared.home
                if not merged([point]).findings:
                    tried = Variants(subject, subject.declared, options, shard)
                    tried.run(settings)
                    part["variants"] = {"tried": tried.tried, "notes": tried.notes}
        return part

    def merge(self, parts: Sequence[Json], options: GradientOptions) -> Result:
        done = merged([part["point"] for part in parts])
        measured = done.certificate.measurements()
        tried = [part["variants"] for part in parts if part["variants"] is not None]
        done.findings = [at_home(f, parts[0]["home"]) for f in done.findings]
        if tried and not done.findings:
            done.findings, counted = counted_variants([t for told in tried for t in told["tried"]])
            measured.update(counted)
            done.notes += each_once(note for told in tried for note in told["notes"])
        return Result(
            findings=tuple(done.findings),
            measurements=measured,
            notes=tuple(done.notes),
            figures=done.figures,
        )


def settings_of(options: GradientOptions) -> dict[str, Any]:
    """What `examine` is told, apart from the budget."""
    return {
        "directions": options.directions,
        "exhaustive": options.exhaustive,
        "method": options.method,
        "order": options.order,
    }
