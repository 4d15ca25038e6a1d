"""What a command loads of its libraries; in a process of its own, as a command's is."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest


def said(program: str) -> list[str]:
    """The lines that a fresh Python prints."""
    whole = "from gpulake.cli.little import load_little\nload_little()\nimport sys\n" + textwrap.dedent(program)
    return subprocess.run([sys.executable, "-c", whole], check=True, capture_output=True, text=True).stdout.splitlines()


def test_a_forest_does_without_scipy_stats_and_says_the_same():
    forest = """
        import numpy as np
        from sklearn.ensemble import IsolationForest
        z = np.random.default_rng(7).normal(size=(60, 3))
        scores = IsolationForest(random_state=42, contamination=0.05).fit(z).decision_function(z)
        print(scores.tobytes().hex())
        print("scipy.stats._stats_py" in sys.modules)
    """
    later = said(forest)
    at_once = said("import scipy.stats._stats_py\n" + textwrap.dedent(forest))
    assert [later[0], "False"] == later
    assert [later[0], "True"] == at_once


@pytest.mark.parametrize(
    "ask",
    [
        "from scipy.stats import chi2; print(chi2.ppf(0.5, 2).round(9))",  # an object asked for something
        "from scipy import stats; print(stats.gmean([1, 1.386294361 ** 2]).round(9))",  # a function called
        "import scipy.stats.distributions as inside; print(inside.chi2.ppf(0.5, 2).round(9))",  # a module inside it
        "import sklearn.ensemble, scipy.stats._continuous_distns as inside; print(inside.chi2.ppf(0.5, 2).round(9))",
        "import scipy.stats; scipy.stats.chi2.ppf(0.5, 2); import scipy.stats as s; print(s.chi2.ppf(0.5, 2).round(9))",
    ],
)
def test_whoever_uses_scipy_stats_has_it(ask):
    """2 ln 2 is the median of chi² with two degrees of freedom, whichever way it is asked for."""
    assert ["1.386294361"] == said(ask)
