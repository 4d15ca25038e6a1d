"""What became of a build or of the data tests, whoever ran them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class NodeResult:
    """What became of one model, seed or test. A failed data test's message shows the rows it found."""

    name: str
    kind: str
    status: str
    message: str
    seconds: float

    @property
    def ok(self) -> bool:
        """Built, passed, or warned only."""
        return self.status in {"success", "pass", "warn"}


@dataclass(frozen=True)
class CompiledModel:
    """The SQL that a full build ran for a model, and what it stands on: names, and the file of each or ""."""

    model: str
    file: str
    depends_on: tuple[str, ...]
    depends_on_files: tuple[str, ...]
    compiled_sql: str


@dataclass(frozen=True)
class BuildResult:
    """What one command did. `error` is set when it could not even begin; `compiled` is told of a full build."""

    ok: bool
    nodes: tuple[NodeResult, ...]
    seconds: float
    error: str = ""
    compiled: tuple[CompiledModel, ...] = ()

    @property
    def failures(self) -> tuple[NodeResult, ...]:
        """Nodes that failed themselves, without those skipped because of them."""
        return tuple(node for node in self.nodes if not node.ok and node.status != "skipped")

    def why(self) -> str:
        """The failures in one line; empty when there are none."""
        return "; ".join(f"{node.name}: {node.message}" for node in self.failures) or self.error
