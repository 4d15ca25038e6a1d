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
_OF_THE_WINDOW = ("failed_unbounded_gpu_h_high",)
"""What days do not have, so that no sum over a range has it."""


def capacity_lines(waste: Mapping[str, Any] | None, bill: Mapping[str, Any] | None) -> list[Line]:
    """Where the GPU-hours went, each class with its share, and what does not stand in them; nothing where none are known."""
    if waste is None or not waste["starts_at_gpu_h"]:
        return []
    known = Waste(**{name: waste[name] for name in _NAMES if name in waste or name not in _OF_THE_WINDOW})
    total, *steps = waste_steps(known)
    parts = [Part(_means(step), step.gpu_h) for step in steps]
    lines = heading("Where the GPU-hours went", f"{total.words}: {gpu_hours(total.gpu_h)}")
    lines.append(line(Span("[", "soft"), *bar(parts, of=total.gpu_h, columns=COLUMNS - 2), Span("]", "soft")))
    for step in steps:
        lines += _class_lines(step)
    if bill and bill["cost_usd"] is not None:
        unpriced = bill["unpriced_gpu_h"]
        told = f"{'The part that has a price' if unpriced else 'It'} cost {usd(bill['cost_usd'])}"
        if bill["idle_usd"] is not None:
            told += f"; {usd(bill['idle_usd'])} of that paid for GPUs that nobody held"
        told += f". {gpu_hours(unpriced)} have no price" if unpriced else ""
        lines += [(), *text_lines(f"{told}.")]
    beside = (*measured_by(known), *beside_waste(known))
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
