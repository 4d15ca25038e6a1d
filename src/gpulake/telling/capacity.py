"""The bar of a whole cluster: what became of its GPU-hours, as one meter and a line for each class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from gpulake.reading.report import Waste
from gpulake.telling.cells import filled
from gpulake.telling.lines import COLUMNS, GLYPHS, Line, Part, Span, bar, heading, line, text_lines
from gpulake.telling.sentences import usd
from gpulake.telling.words import Step, beside_waste, gpu_hours, measured_by, ratio_pct, waste_steps

_MEANS = {"productive": "active"}
_NAMES = tuple(each.name for each in fields(Waste))


def capacity_lines(waste: Mapping[str, Any] | None, bill: Mapping[str, Any] | None) -> list[Line]:
    """Where the GPU-hours went, each class with its share, and what does not stand in them; nothing where none are known."""
    if waste is None or not waste["starts_at_gpu_h"]:
        return []
    # A range has no bound for attempts of unknown length.
    known = Waste(**{name: waste.get(name, 0.0) for name in _NAMES})
    total, *steps = waste_steps(known)
    parts = [Part(_means(step), step.gpu_h) for step in steps]
    lines = heading("Where the GPU-hours went", f"{total.words}: {gpu_hours(total.gpu_h)}")
    lines.append(line(Span("[", "soft"), *bar(parts, of=total.gpu_h, columns=COLUMNS - 2), Span("]", "soft")))
    for step in steps:
        lines += _class_lines(step)
    if bill and bill["cost_usd"] is not None:
        told = f"It cost {usd(bill['cost_usd'])}"
        if bill["idle_usd"] is not None:
            told += f"; {usd(bill['idle_usd'])} of that paid for GPUs that nobody held"
        lines += [(), *text_lines(f"{told}.")]
    beside = (*measured_by(known), *(each for each in beside_waste(known) if "up to 0.0" not in each))
    return [
        *lines,
        *(each for told in beside for each in text_lines(f"{told[0].upper()}{told[1:]}.", rest="  ", means="soft")),
    ]


def _means(step: Step) -> str:
    return _MEANS.get(step.kind, step.kind)


def _class_lines(step: Step) -> list[Line]:
    figures = f"{gpu_hours(step.gpu_h):>18}", Span(f"{ratio_pct(step.ratio):>10}", "strong")
    means = _means(step)
    first = line("  ", Span(GLYPHS[means], means), f" {filled(step.words, 46)}", *figures)
    return [first, *(text_lines(step.lacks, first="    ", rest="    ", means="soft") if step.lacks else ())]
