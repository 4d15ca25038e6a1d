"""Files that a command writes where its call says: whole, or as they were."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpulake.cli import edge
from gpulake.errors import UsageError


def _write(file: Path, text: str, *, fails: bool = False) -> None:
    with edge.whole_file(file) as unfinished:
        unfinished.write_text(text)
        if fails:
            raise OSError(28, "No space left on device")


def test_the_new_one_takes_the_place_of_the_old_one_at_its_end(tmp_path: Path) -> None:
    file = tmp_path / "days.png"
    file.write_text("old")
    with edge.whole_file(file) as unfinished:
        unfinished.write_text("new")
        assert file.read_text() == "old"
    assert file.read_text() == "new"
    assert list(tmp_path.iterdir()) == [file]


def test_what_fails_leaves_the_old_one_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "days.png"
    file.write_text("old")
    with pytest.raises(UsageError, match="No space left on device") as told:
        _write(file, "half", fails=True)
    assert told.value.where == str(file)
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_nothing_is_left_where_no_file_was(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        _write(tmp_path / "days.png", "half", fails=True)
    assert list(tmp_path.iterdir()) == []


def test_links_and_rights_stay(tmp_path: Path) -> None:
    """A link into the folder of a web server stays one, and whoever might read the old file may read the new one."""
    file, link = tmp_path / "file", tmp_path / "link"
    file.write_text("old")
    file.chmod(0o604)
    link.symlink_to(file)
    _write(link, "new")
    assert link.is_symlink()
    assert file.read_text() == "new"
    assert file.stat().st_mode & 0o777 == 0o604


def test_a_device_stays_a_device(tmp_path: Path) -> None:
    """As root `--html /dev/null` must not cost the machine that device."""
    device = tmp_path / "device"
    device.symlink_to("/dev/null")  # a link, lest a fault of ours costs this machine the real one
    _write(device, "new")
    assert device.is_char_device()
    assert list(tmp_path.iterdir()) == [device]


def test_a_folder_in_the_way_is_told_by_its_name(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "nowhere" / "days.png"):
        with pytest.raises(UsageError) as told:
            _write(place, "new")
        assert told.value.where == str(place)
    assert list(tmp_path.iterdir()) == []
