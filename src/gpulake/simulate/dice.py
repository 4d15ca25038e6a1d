"""Random numbers by topic: adding a draw to one topic leaves every other topic as it was."""

from __future__ import annotations

import zlib

import numpy as np


class Dice:
    """Independent generators, each fixed by the seed and a topic's name; nothing comes from the clock or the machine."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def on(self, topic: str) -> np.random.Generator:
        """Generator of one topic, always from its beginning."""
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence([self._seed, zlib.crc32(topic.encode())])))
