"""How a figure was worked out of the means of windows, as lines for a terminal, and the words that a page shares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from textwrap import wrap

from gpulake.reading.workings import Missed, OfMachines, OfWindows, Workings
from gpulake.telling.cells import visible
from gpulake.telling.text import WIDTH, text_table
from gpulake.telling.words import counted, ratio_pct

_METHOD_WORDS = {
    "reconstructed": "reconstructed (the best linear estimate from all windows near the day)",
    "swept": "swept (each second has the mean of the windows over it)",
    "sampled": "sampled (measured at fixed times)",
}


def workings_lines(workings: Workings) -> Iterator[str]:
    """All that is known of it; a list names the heaviest and counts the rest."""
    for at, words in enumerate(method_words(workings)):
        yield f"{'' if at else 'worked out':<13}{words}"
    if workings.parameters:
        assumed = wrap(parameter_words(workings.parameters), WIDTH - 13)
        yield from (f"{'' if at else 'assuming':<13}{line}" for at, line in enumerate(assumed))
    if workings.of_windows:
        yield ""
        yield from _window_lines(workings.of_windows)
    if workings.of_machines:
        yield ""
        yield from _machine_lines(workings.of_machines)
    yield ""
    yield from _left_out_lines(workings.left_out)


def method_words(workings: Workings) -> list[str]:
    """Each method in words, with its part where it is not alone."""
    methods = workings.methods
    return [
        _METHOD_WORDS.get(method, method) + (f": {ratio_pct(part)}" if len(methods) > 1 else "")
        for method, part in methods.items()
    ]


def parameter_words(parameters: Mapping[str, float]) -> str:
    """The reconstruction's parameters in one line: hours, and parts of the load's variance."""
    return ", ".join(
        f"{name.removesuffix('_s').replace('_', ' ')} {value / 3600:g} h"
        if name.endswith("_s")
        else f"{name.removesuffix('_ratio').replace('_', ' ')} {value:g}"
        for name, value in parameters.items()
    )


def sum_words(found: OfWindows) -> str:
    """What the windows add up to, and what was added by what the fleet's day tells, and to keep hours within bounds."""
    fleet, bounded = found.fleet_pct, found.bounded_by_pct
    of_fleet = f"; {fleet:+.5f} as the fleet's day tells" if fleet else ""
    rest = f"; {bounded:+.5f} where hours lay below 0 or above the most that is" if bounded else ""
    return f"Σ weight × value = {found.sum_pct:.6f} %{of_fleet}{rest}"


def _window_lines(found: OfWindows) -> Iterator[str]:
    windows = sum(each.windows for each in found.named) + found.other_windows
    yield f"{counted(windows, 'window')} bear on it, the heaviest first; windows of the same hours are one line (UTC)"
    yield from text_table(
        ["begins", "ends", "windows", "mean %", "weight"],
        [
            [str(each.started_at), str(each.ended_at), f"{each.windows:,}", f"{each.value_pct:.4f}", f"{each.weight:+.6f}"]
            for each in found.named
        ],
        right={2, 3, 4},
    )  # fmt: skip
    if found.other_windows:
        yield f"and {counted(found.other_windows, 'window')} more, together {found.other_weight:+.6f}"
    yield sum_words(found)


def _machine_lines(found: OfMachines) -> Iterator[str]:
    machines = len(found.named) + found.other_machines
    yield f"{counted(machines, 'machine')} weigh in it by {found.weighed_by}, the heaviest first"
    yield from text_table(
        ["machine", "weight", "mean %", "method"],
        [
            [visible(each.machine_id, keep=""), f"{each.weight:.6f}", f"{each.value_pct:.4f}", each.method]
            for each in found.named
        ],
        right={1, 2},
    )
    if found.other_machines:
        yield f"and {counted(found.other_machines, 'machine')} more, together {found.other_weight:.6f}"


def _left_out_lines(missed: tuple[Missed, ...]) -> Iterator[str]:
    if not missed:
        yield "windows that were left out and told from the others: none"
        return
    yield "windows that were left out and told from the others: the root of the mean square error (points)"
    yield from text_table(
        ["length", "windows", "reconstructed", "swept"],
        [
            [each.window_length, f"{each.windows:,}", f"{each.reconstructed_rmse:.3f}", f"{each.swept_rmse:.3f}"]
            for each in missed
        ],
        right={1, 2, 3},
    )
