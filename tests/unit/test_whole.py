"""A file is there as a whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gpulake.whole import keep_newest, write_whole


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "kept.json"
    write_whole(file, b"old")
    file.with_name(f"{file.name}.{os.getpid()}.unfinished").mkdir()  # nothing can be written there
    with pytest.raises(OSError, match="directory"):
        write_whole(file, b"new")
    assert file.read_bytes() == b"old"
    file.with_name(f"{file.name}.{os.getpid()}.unfinished").rmdir()
    write_whole(file, b"new")
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("kept.json", b"new")]


def test_those_used_last_are_kept(tmp_path: Path) -> None:
    files = [tmp_path / f"{n}" for n in range(4)]
    for n, file in enumerate(files):
        file.touch()
        os.utime(file, (0, (n * 7) % 4))  # 0, 3, 2, 1
    keep_newest(files, 2)
    assert {file.name for file in tmp_path.iterdir()} == {"1", "2"}
