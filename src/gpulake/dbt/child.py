"""The process that runs dbt: started by `gpulake.dbt.warehouse`, one JSON request per line in, one reply per line out.

dbt keeps its database open and talks on stdout, so it lives apart. It ends when its stdin closes, also in the middle of
a build: a commit is whole or absent, and the next build redoes what this one left. It holds the lake's write lock by
an inherited descriptor, so the lock outlives a killed parent until this process has ended too.
"""

from __future__ import annotations

import gc
import json
import os
import queue
import re
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any  # dbt has no types

from dbt import compilation
from dbt.adapters.duckdb.plugins import BasePlugin
from dbt.cli.main import dbtRunner, dbtRunnerResult
from dbt.contracts.graph.manifest import Manifest
from dbt.parser.manifest import extended_mashumaro_encoder, extended_mashumuro_decoder
from dbt_common.events.base_types import EventLevel
from dbt_common.events.event_manager import EventManager

from gpulake.dbt import connection, functions, project
from gpulake.whole import keep_newest, write_whole

_QUIET = ("--quiet", "--log-level-file", "warn", "--no-write-json", "--no-use-colors")
_PROJECTS_KEPT = 8
_BEGINS_WITH = re.compile(r"(?:\s|--[^\n]*\n)*with\b", re.IGNORECASE)
_A_REF = re.compile(r"\{\{ ref\('(\w+)'\) \}\}")


class Plugin(BasePlugin):
    """Loads the extensions from the files that their wheels brought (nothing is installed, nothing downloaded), and our functions."""

    def configure_connection(self, conn: Any) -> None:
        """Called by dbt-duckdb before it attaches the lake."""
        for file in os.environ["GPULAKE_EXTENSION_FILES"].split(os.pathsep):
            conn.execute("LOAD '{}'".format(file.replace("'", "''")))
        functions.register(conn)


class Runner:
    """dbt with the project parsed once: a parsed project is kept beside its digest, and read again in no time."""

    def __init__(self) -> None:
        self._exception: BaseException | None = None
        digest = project.digest(Path(os.environ["DBT_PROJECT_DIR"]))
        kept = Path(os.environ["GPULAKE_PARSED"]) / f"{digest}.msgpack"
        self._manifest: Any = _kept_project(kept)  # dbt has no types
        if self._manifest is None:
            parsed = dbtRunner().invoke(["parse", "--no-partial-parse", *_QUIET])
            if not parsed.success:
                self._exception = parsed.exception
                return
            self._manifest = parsed.result
            _keep_project(self._manifest, kept)
        draw_union_edges(self._manifest)

    def warm_up(self) -> None:
        """Let dbt check the project and the profile, as it does at its first command, while the parent still lands."""
        if self._manifest is not None:
            dbtRunner(manifest=self._manifest).invoke(["list", "--resource-type", "seed", *_QUIET])

    def invoke(self, arguments: Sequence[str], *, pinned_at: int | None = None) -> dict[str, object]:
        """Run one dbt command, pinned where a version is given, and leave no connection open."""
        connection.own_connections()
        reply, _ = self._run(arguments, pinned_at=pinned_at)
        return reply

    def write_down(self, arguments: Sequence[str]) -> dict[str, object]:
        """Have dbt tell what one command would run, and run nothing: the steps of a script."""
        noted = connection.note()
        reply, outcome = self._run(arguments)
        is_full = "--full-refresh" in arguments
        nodes = self._manifest.nodes if self._manifest else {}
        reply["steps"] = [
            {
                "name": nodes[key].name,
                "kind": str(nodes[key].resource_type),
                "statements": statements,
                "makes": nodes[key].relation_name if is_full else "",
                "failing": (nodes[key].compiled_code or "") if key.startswith("test.") else "",
                "warns": key.startswith("test.") and nodes[key].config.severity.upper() == "WARN",
            }
            for key, statements in noted.items()
        ]
        reply["compiled"] = _compiled(outcome, self._manifest) if is_full and outcome is not None else []
        return reply

    def _run(
        self, arguments: Sequence[str], *, pinned_at: int | None = None
    ) -> tuple[dict[str, Any], dbtRunnerResult | None]:
        if self._manifest is None:
            error = f"the dbt project is broken: {self._exception}"
            return {"ok": False, "nodes": [], "seconds": 0.0, "error": error}, None
        started = time.monotonic()
        os.environ["GPULAKE_SNAPSHOT"] = str(pinned_at or 0)
        os.environ["DBT_TARGET"] = "write" if pinned_at is None else "pinned"
        if arguments[0] == "docs":
            # A project that was read from the cache has never met dbt's flags, and cannot be written without them.
            dbtRunner().invoke(["parse", "--no-partial-parse", *_QUIET])
            self._manifest.write(str(Path(os.environ["DBT_TARGET_PATH"]) / "manifest.json"))
        forget_compiled(self._manifest)
        ok, nodes, error = False, [], ""
        try:
            outcome = dbtRunner(manifest=self._manifest).invoke([*arguments])
            nodes = _nodes(outcome)
            ok, error = bool(outcome.success), str(outcome.exception or "")
            if not ok and not error and all(node["status"] in {"success", "pass", "warn", "skipped"} for node in nodes):
                # A part without a relation that cannot be compiled is no result of dbt's.
                error = f"dbt failed: see {os.environ['DBT_LOG_PATH']}/dbt.log"
        finally:
            connection.close()
        return {"ok": ok, "nodes": nodes, "seconds": time.monotonic() - started, "error": error}, outcome

    def answer(self, request: Mapping[str, Any]) -> dict[str, object]:
        """Carry out one request of the parent."""
        os.environ["GPULAKE_LANDED"] = ",".join(request.get("sources", ()))
        match request["do"]:
            case "write down a full build":
                chosen = ["build", "--full-refresh", "--exclude-resource-type", "test", "unit_test"]
                return self.write_down([*chosen, "--fail-fast", *_QUIET])
            case "write down a build":
                # Views and seeds change only with the project, and a changed project is built in full.
                skipped = ["config.materialized:view", "tag:full_builds_only"]
                return self.write_down(["run", "--exclude", *skipped, "--fail-fast", *_QUIET])
            case "write down the tests":
                left_out = [] if request["slow_ones_too"] else ["tag:by_hand"]
                left_out += [] if request["everything"] else ["tag:everything"]
                skipped = ["--exclude", *left_out] if left_out else []
                os.environ["GPULAKE_TESTED"] = "everything" if request["everything"] else "touched"
                return self.write_down(["test", "--select", "test_type:data", *skipped, *_QUIET])
            case "dbt":
                if request["arguments"][0] == "test":
                    unfold(self._manifest)
                return self.invoke(request["arguments"], pinned_at=request["version"])
            case unknown:
                raise ValueError(unknown)


def _kept_project(file: Path) -> Any:  # dbt has no types
    try:
        return Manifest.from_msgpack(file.read_bytes(), decoder=extended_mashumuro_decoder)
    except (OSError, ValueError, TypeError, LookupError):
        return None  # not kept yet, or damaged: parse


def _keep_project(manifest: Any, file: Path) -> None:
    with suppress(OSError):  # nowhere to keep it: the next process parses again
        keep_newest(file.parent.glob("*.msgpack"), _PROJECTS_KEPT - 1)
        write_whole(file, manifest.to_msgpack(extended_mashumaro_encoder))


def draw_union_edges(manifest: Any) -> None:
    """Make each model with `meta: unites` depend on every staging model of those entities, whatever its source."""
    staged = {node.name: key for key, node in manifest.nodes.items() if node.name.startswith("stg_")}
    for node in manifest.nodes.values():
        for entity in node.config.meta.get("unites", ()) if node.resource_type == "model" else ():
            for name, key in staged.items():
                if name.endswith(f"__{entity}") and key not in node.depends_on.nodes:
                    node.depends_on.nodes.append(key)
    manifest.build_parent_and_child_maps()


def hurry() -> None:
    """Leave out what dbt does for each node that nobody needs here: a third of its time.

    It makes a text of each of thousands of debug events, which no log of ours takes; and it parses each model's SQL to find
    its `with`, which ours begin with.
    """
    fire = EventManager.fire_event

    def fire_event(self: EventManager, e: Any, level: Any = None, **named: Any) -> None:
        if (level or e.level_tag()) != EventLevel.DEBUG:
            fire(self, e, level, **named)

    manager: Any = EventManager
    compiler: Any = compilation
    manager.fire_event = fire_event
    compiler.inject_ctes_into_sql = inject_parts


def inject_parts(sql: str, parts: Sequence[Any]) -> str:
    """A model's SQL with the models that have no relation of their own as common tables in front, as dbt has them."""
    if not parts:
        return sql
    tables = ",".join(part.sql for part in parts)
    begins = _BEGINS_WITH.match(sql)
    return f"{begins[0]}{tables},{sql[begins.end() :]}" if begins else f"with{tables}\n{sql}"


def forget_compiled(manifest: Any) -> None:  # dbt has no types
    """Have the next command compile everything anew: dbt keeps what it compiled in the parsed project, with the parts that have
    no relation of their own. Those name what an earlier command has read: pending landings, touched days, a kind of build.
    """
    for node in manifest.nodes.values():
        if node.resource_type != "seed":
            node.compiled, node.compiled_code, node._pre_injected_sql = False, None, None  # noqa: SLF001
            node.extra_ctes_injected, node.extra_ctes = False, []


def unfold(manifest: Any) -> None:  # dbt has no types
    """Write the models that have no relation of their own into those that read them, for unit tests: so that a test gives rows
    to the tables at the top of a chain, and the chain is tested whole.
    """
    parts = {
        node.name: node.raw_code
        for node in manifest.nodes.values()
        if node.resource_type == "model" and node.config.materialized == "ephemeral"
    }

    def whole(code: str) -> str:
        return _A_REF.sub(lambda found: f"({whole(parts[found[1]])})" if found[1] in parts else found[0], code)

    for node in manifest.nodes.values():
        if node.resource_type == "model":
            node.raw_code = whole(node.raw_code)


def _nodes(outcome: dbtRunnerResult) -> list[dict[str, Any]]:
    results = getattr(outcome.result, "results", None) or []
    return [
        {
            "name": result.node.name,
            "kind": str(result.node.resource_type),
            "status": str(result.status),
            "message": result.message or "",
            "seconds": result.execution_time,
        }
        for result in results
        if hasattr(result, "node") and hasattr(result, "execution_time")
    ]


def _compiled(outcome: dbtRunnerResult, manifest: Any) -> list[dict[str, object]]:
    """What ran for each model, and the name and the file of all that it stands on; files are told from the project's top."""
    nodes = [result.node for result in getattr(outcome.result, "results", None) or []]
    models = [node for node in nodes if node.resource_type == "model" and getattr(node, "compiled_code", None)]
    stands_on = {node.name: [_known_as(key, manifest) for key in sorted(node.depends_on.nodes)] for node in models}
    return [
        {
            "model": node.name,
            "file": node.original_file_path,
            "depends_on": [name for name, _ in stands_on[node.name]],
            "depends_on_files": [file for _, file in stands_on[node.name]],
            "compiled_sql": node.compiled_code,
        }
        for node in models
    ]


def _known_as(key: str, manifest: Any) -> tuple[str, str]:
    """A source stands in no file: gpulake writes it."""
    if key in manifest.sources:
        source = manifest.sources[key]
        return source.name if source.schema == "main" else f"{source.schema}.{source.name}", ""
    node = manifest.nodes[key]
    return node.name if node.resource_type == "model" else f"{node.schema}.{node.name}", node.original_file_path


def _requests() -> queue.Queue[str]:
    """Lines from the parent. When its pipe closes the parent is gone: so is this process, at once."""
    lines: queue.Queue[str] = queue.Queue()

    def read() -> None:
        for line in sys.stdin:
            lines.put(line)
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    return lines


def main() -> None:
    """Answer requests until the parent's pipe closes, or run the one command that stands after `--`."""
    if sys.argv[1] == "--":
        runner = Runner()
        outcome = runner.invoke([*sys.argv[2:]])
        if outcome["error"]:
            sys.stderr.write(f"{outcome['error']}\n")
        sys.exit(0 if outcome["ok"] else 1)
    _serve(int(sys.argv[1]))


def _serve(descriptor: int) -> None:
    lines = _requests()
    reply_to = os.fdopen(descriptor, "w", encoding="utf-8")
    log = os.open(Path(os.environ["DBT_LOG_PATH"]) / "console.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    hurry()
    # dbt's classes and its parsed project are no garbage: looking through them costs a tenth of all the time.
    gc.disable()
    runner = Runner()
    gc.freeze()
    gc.enable()
    runner.warm_up()
    while True:
        reply = runner.answer(json.loads(lines.get()))
        reply_to.write(json.dumps(reply) + "\n")
        reply_to.flush()


if __name__ == "__main__":
    main()
