"""Commands that are asked: started without a shell, waited for so long, and told apart in how they fail."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gpulake.errors import SourceError

_MISSING, _DENIED = 127, 126
"""What a shell, `env` and `ssh` give back where there is no such command, or none that may be started."""


@dataclass(frozen=True)
class Runner:
    """Starts commands here, or through another one: `ssh login1`, `sudo -u slurm`, `docker exec slurmctld`.

    `settings` are variables for the commands, wherever they run.
    """

    environ: Mapping[str, str] = field(repr=False)
    via: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = 300.0

    def shown(self, command: Sequence[str]) -> str:
        """The command as somebody would type it."""
        return shlex.join([*self.via, *command])

    def output(self, command: Sequence[str]) -> bytes:
        """What a command prints. Raises SourceError where it is missing, refused, fails or does not end."""
        name = command[0]
        started = [*self.via, *self._there(command)] if self.via else list(command)
        try:
            process = subprocess.Popen(
                started,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=dict(self.environ) | dict(self.settings),
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise self._missing(started[0]) from error
        except OSError as error:
            raise SourceError(
                f"{started[0]} cannot be started: {error.strerror or error}.",
                where=self.shown(command),
                do="have it allowed to the user of these runs, or run it through another: --via 'sudo -u slurm'",
            ) from error
        with process:
            try:
                printed, complained = process.communicate(timeout=self.timeout_s)
            except subprocess.TimeoutExpired as error:
                _end(process)
                raise SourceError(
                    f"{name} did not answer within {self.timeout_s:.0f} s.",
                    where=self.shown(command),
                    do="see whether it does by hand; --timeout gives it longer",
                ) from error
            except BaseException:  # Ctrl-C too must not leave it running
                _end(process)
                raise
        words = _last_words(complained)
        if process.returncode == _MISSING or "command not found" in words:
            raise self._missing(name)
        if process.returncode:
            raise SourceError(
                f"{name} failed with code {process.returncode}: {words or 'it said nothing'}.",
                where=self.shown(command),
                do=_advice(words, process.returncode),
            )
        return printed

    def _there(self, command: Sequence[str]) -> list[str]:
        full = ["env", *(f"{name}={value}" for name, value in self.settings.items()), *command]
        # ssh hands its words to a shell on the other side; others hand them on as they are.
        return [shlex.join(full)] if os.path.basename(self.via[0]) == "ssh" else full  # noqa: PTH119  # no path of here

    def _missing(self, name: str) -> SourceError:
        return SourceError(
            f"{name} is not found.",
            where=self.shown([name]),
            do="run this where Slurm's commands are, as on a login node, or through it: --via 'ssh login1'",
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        process.kill()


def _last_words(complained: bytes) -> str:
    lines = [line.strip() for line in complained.decode("utf-8", "replace").splitlines() if line.strip()]
    return " ".join(lines[-2:])[:400].rstrip(".")


def _advice(words: str, code: int) -> str:
    said = words.lower()
    if "accounting storage is disabled" in said or "storage is not enabled" in said:
        return "let Slurm keep accounting (AccountingStorageType=accounting_storage/slurmdbd)"
    if "configuration source" in said or "slurm.conf" in said:
        return "run it where slurm.conf is, as on a login node, or through it: --via 'ssh login1'"
    if code == _DENIED or any(word in said for word in ("denied", "not allowed", "permission", "privilege")):
        return (
            "ask Slurm's administrator for the right to see all jobs (AdminLevel=Operator), or run it as one who has it"
        )
    if any(word in said for word in ("unable to contact", "connect", "refused", "timed out", "munge")):
        return "see whether slurmctld and slurmdbd run, and can be reached from here"
    return "run it by hand to see more"
