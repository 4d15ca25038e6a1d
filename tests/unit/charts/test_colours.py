"""Colours that everybody can tell apart, measured and not believed."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest

from gpulake.charts.colours import DARK, LIGHT, NAMES, Colours, stylesheet

PARTS = ("active", "failed", "idle_held", "unknown", "unallocated", "down")
MARKS = (*PARTS, "total", "anomaly", "expected")
WORDS = ("ink", "soft")

# Machado, Oliveira and Fernandes 2009, full deficiency.
EYES = {
    "normal": np.eye(3),
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def linear(hexadecimal: str) -> np.ndarray:
    values = np.array([int(hexadecimal[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    """WCAG 2: (lighter + 0.05) / (darker + 0.05)."""
    low, high = sorted(float(linear(each) @ [0.2126, 0.7152, 0.0722]) for each in (one, other))
    return (high + 0.05) / (low + 0.05)


def oklab(rgb: np.ndarray) -> np.ndarray:
    """Ottosson 2020: distances are as eyes see them; black and white are 1 apart."""
    cones = np.array(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
    )
    lab = np.array(
        [
            [0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660],
        ]
    )
    return lab @ np.cbrt(cones @ np.clip(rgb, 0, 1))


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_every_mark_stands_out_from_its_ground(colours: Colours) -> None:
    """A part that fades into the paper is a part that is not there. WCAG 2.1 §1.4.11 asks for 3:1, and 4.5:1 for words."""
    assert {} == {name: ratio for name in MARKS if (ratio := contrast(getattr(colours, name), colours.paper)) < 3}
    assert {} == {name: ratio for name in WORDS if (ratio := contrast(getattr(colours, name), colours.paper)) < 4.5}


@pytest.mark.parametrize("eye", EYES)
@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_parts_stay_apart_for_every_eye(colours: Colours, eye: str) -> None:
    """Two parts of one bar that look the same to one man in twelve would be read as one."""
    seen = {name: oklab(np.array(EYES[eye]) @ linear(getattr(colours, name))) for name in (*PARTS, "anomaly")}
    near = {pair: float(np.linalg.norm(seen[pair[0]] - seen[pair[1]])) for pair in combinations(seen, 2)}

    assert {} == {pair: distance for pair, distance in near.items() if distance < 0.07}


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("ramp", ["use", "waste"])
def test_steps_of_a_heat_map_go_one_way(colours: Colours, ramp: str) -> None:
    """A ramp that turns back would show two values alike."""
    contrasts = [contrast(getattr(colours, f"{ramp}_{step}"), colours.paper) for step in range(1, 6)]

    assert contrasts == sorted(contrasts)
    assert min(high / low for low, high in pairwise(contrasts)) > 1.3


def test_the_style_names_every_colour_once_per_scheme() -> None:
    """A variable that is missing would be drawn black."""
    assert dict.fromkeys(NAMES, 2) == {name: stylesheet().count(f"--chart-{name.replace('_', '-')}:") for name in NAMES}
