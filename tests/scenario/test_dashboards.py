"""What a publication does for dashboards, as a user meets it."""

import json
import shutil


def test_a_publication_renews_the_file_and_outlives_its_failure(refreshed, cli, tmp_path):
    """The lake's readers come first: what goes wrong with the dashboards' file is a warning, and the exit code stays 0."""
    lake = shutil.copytree(refreshed[0] / "lake", tmp_path / "lake")
    (lake / "superset").mkdir()
    (lake / "superset" / "tables.json").write_text('{"tables": ["gold_cluster_util_daily"]}')

    done = cli("publish", "--lake", lake)
    assert (0, "") == (done.returncode, done.stderr)
    build = json.loads((lake / "publication.json").read_text())["build_id"]
    assert f"dashboards: their file holds build {build}" in done.stdout.splitlines()

    (lake / "superset" / "tables.json").write_text("damaged")
    warned = cli("publish", "--lake", lake)
    assert 0 == warned.returncode
    assert warned.stderr.startswith("gpulake: dashboards still show the build before")
    told = json.loads(cli("publish", "--lake", lake, "--json").stdout)
    assert (None, "LakeError") == (told["error"], told["dashboards"]["error"]["kind"])
