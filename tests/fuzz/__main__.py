"""Bytes that no program wrote, for each parser of a source: python tests/fuzz [--seconds 60] [--corpus DIR] [NAME …].

Atheris changes the fixtures and keeps what reaches code that was not reached before, in the corpus; a run goes on from the
last. What breaks a law is written there as crash-…, hang as timeout-…; `python tests/fuzz NAME FILE` reads it again.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
from pathlib import Path

CHILD = "--in-this-process"


def main() -> int:
    """The exit code: 0 where no parser broke a law."""
    if sys.argv[1:2] == [CHILD]:
        return _fuzz(sys.argv[2], sys.argv[3:])
    parser = argparse.ArgumentParser(description="Fuzz the parsers of the sources.")
    parser.add_argument("--seconds", type=int, default=60, help="for each parser")
    parser.add_argument("--corpus", type=Path, default=Path("out") / "fuzz", help="a folder that is kept")
    parser.add_argument("names", nargs="*", metavar="NAME", help="these parsers only, and files to read once")
    arguments = parser.parse_args()
    files = [name for name in arguments.names if Path(name).is_file()]
    chosen = [name for name in arguments.names if name not in files]
    found = {target.name: target for target in _laws().targets()}
    if strange := set(chosen) - set(found):
        parser.error(f"there is no parser {' or '.join(sorted(strange))}; there are {', '.join(found)}")
    broken = []
    for name in chosen or found:
        home = arguments.corpus / name
        home.mkdir(parents=True, exist_ok=True)
        for seed in found[name].seeds():
            (home / hashlib.sha256(seed).hexdigest()).write_bytes(seed)
        limits = [f"-max_total_time={arguments.seconds}", "-timeout=10", "-rss_limit_mb=3072", "-max_len=8192"]
        options = files or [*limits, f"-artifact_prefix={home}/", "-print_final_stats=1", str(home)]
        print(f"{name}: {len(list(home.iterdir()))} inputs", flush=True)
        code = subprocess.run([sys.executable, __file__, CHILD, name, *options], check=False).returncode
        if code:
            broken.append(name)
    print(f"{len(chosen or found) - len(broken)} parsers hold, {len(broken)} do not: {', '.join(broken) or 'none'}")
    return int(bool(broken))


def _fuzz(name: str, options: list[str]) -> int:
    import atheris

    import gpulake.landing.rows  # noqa: F401  # before, so that only the sources are instrumented: the rest takes minutes

    with atheris.instrument_imports(include=["gpulake.sources"]):
        laws = _laws()
        (target,) = (target for target in laws.targets() if target.name == name)

    def once(content: bytes) -> None:
        laws.check(target, content)

    atheris.Setup([sys.argv[0], *options], once)
    atheris.Fuzz()
    return 0


def _laws():
    sys.path.insert(0, str(Path(__file__).parent))
    import laws

    return laws


if __name__ == "__main__":
    sys.exit(main())
