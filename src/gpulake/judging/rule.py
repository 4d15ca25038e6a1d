"""A rule: one YAML file that says which rows of which published table a person should hear of. Read and checked here.

A rule is checked against the columns that the models' yml promises, before it is ever run: a misspelt column, a sentence
that cannot be filled and a function that is not allowed are told with the file, the line and the near miss. A file that
is at fault leaves the others as they are.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import yaml

from gpulake.config import Config, shipped_rules
from gpulake.errors import ContractError, UsageError
from gpulake.findings import Severity
from gpulake.judging import template
from gpulake.judging.names import unknown_name
from gpulake.judging.parsed import Expression
from gpulake.judging.template import Template
from gpulake.reading.models import Column, Model, read_models
from gpulake.whole import keep_newest, write_whole

HOUR_S, DAY_S = 3_600, 86_400
_LENGTHS = {"hour": HOUR_S, "hours": HOUR_S, "day": DAY_S, "days": DAY_S}
_STEPS = {"date": DAY_S, "timestamp": HOUR_S}
"""A row's time is the start of a day or of an hour: how long it stands for (s)."""
_NUMBERS = ("bigint", "integer", "double", "decimal")
_EXPRESSIONS = ("where", "when", "until", "value", "expected", "gpu_h", "machine", "job")
CLUSTER = "cluster_id"
_TOLD = ("since", "at", "lasting")
"""What every sentence may say beside the rule's own values: when it began, when it was judged, how long it has lasted."""


@dataclass(frozen=True)
class Rule:
    """One rule, checked. Lengths of time are in steps of its table: days or hours.

    `per` are the columns that name the thing, the cluster first; `let` are named amounts; `missing_is_clear` says that
    no row means that nothing was there, and not that nobody knows.
    """

    name: str
    file: Path
    digest: str
    title: Template
    why: str
    table: str
    time: str | None
    step_s: int | None
    per: tuple[str, ...]
    types: Mapping[str, str]
    let: Mapping[str, Expression]
    where: Expression | None
    when: Expression
    until: Expression | None
    over_steps: int
    for_steps: int
    clear_steps: int
    settle_steps: int
    missing_is_clear: bool
    severity: Severity
    audience: str
    say: Template
    do: Template
    link: Template
    unit: str
    value: Expression | None
    expected: Expression | None
    gpu_h: Expression | None
    machine: Expression | None
    job: Expression | None
    finds: tuple[str, ...]
    examples: Mapping[str, Sequence[Mapping[str, object]]]

    @cached_property
    def is_summed(self) -> bool:
        """Whether it sums over the rows of a key."""
        return any(each.sums for each in self.expressions.values())

    @property
    def expressions(self) -> dict[str, Expression]:
        """All but `where`, by what they are."""
        named = {f"let {name}": each for name, each in self.let.items()}
        own = {name: getattr(self, name) for name in _EXPRESSIONS if name != "where"}
        return {**named, **{name: each for name, each in own.items() if each is not None}}

    @cached_property
    def sql(self) -> str:
        """The query that it is."""
        from gpulake.judging.statement import sql_of_rule

        return sql_of_rule(self)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The columns of its table that its query reads."""
        read = [*self.expressions.values(), *([self.where] if self.where else [])]
        named = {*self.per, *self.shown_columns, *([self.time] if self.time else [])}
        return tuple(sorted(named.union(*(each.columns for each in read))))

    @property
    def shown_columns(self) -> tuple[str, ...]:
        """The columns of the table that its sentences show."""
        names = self.title.fields | self.say.fields | self.do.fields | self.link.fields
        return tuple(
            sorted(name for name in names if name in self.types and name not in self.per and name != self.time)
        )

    def length(self, steps: int) -> str:
        """So many of its steps, in words."""
        word = "day" if self.step_s == DAY_S else "hour"
        return f"{steps} {word}{'' if steps == 1 else 's'}"


@dataclass(frozen=True)
class Broken:
    """A rule that cannot be used, and why."""

    name: str
    error: ContractError | UsageError


@dataclass(frozen=True)
class Rules:
    """The rules of a folder by name, and those that are at fault."""

    usable: tuple[Rule, ...]
    broken: tuple[Broken, ...]

    def only(self, names: Iterable[str]) -> Rules:
        """Those of some names; all where there is none. Raises UsageError for one that is not there."""
        wanted = list(names)
        if not wanted:
            return self
        there = {*(rule.name for rule in self.usable), *(rule.name for rule in self.broken)}
        for name in wanted:
            if name not in there:
                error = unknown_name(name, there, what="rule", where="rules/")
                raise UsageError(error.what, where=error.where, do=error.do)
        usable = tuple(rule for rule in self.usable if rule.name in wanted)
        return Rules(usable, tuple(rule for rule in self.broken if rule.name in wanted))


def load(*folders: Path, models: Mapping[str, Model], audiences: Iterable[str]) -> Rules:
    """Every rule of some folders, in the order of their names; of two with one name the later folder's.

    Raises UsageError where there is no folder.
    """
    files: dict[str, Path] = {}
    for where in folders:
        if not where.is_dir():
            raise UsageError("there is no folder of rules.", where=str(where), do="name a folder with .yml files")
        files |= {file.stem: file for file in where.glob("*.yml")}
    usable, broken = [], []
    known = tuple(audiences)
    for name, file in sorted(files.items()):
        try:
            usable.append(read(file, models=models, audiences=known))
        except (ContractError, UsageError) as error:
            broken.append(Broken(name, error))
    return Rules(tuple(usable), tuple(broken))


def load_configured(config: Config) -> Rules:
    """The shipped rules and those of the settings' own folder, checked against the models and audiences there are."""
    from gpulake.dbt.warehouse import project

    own = () if config.rules is None else (config.rules,)
    return load(shipped_rules(), *own, models=read_models(project()), audiences=config.audiences)


def load_kept(config: Config, *, folder: Path, key: str) -> Rules:
    """What `load_configured` says, or said when it was kept in the user's cache: `key` names all that rules are read from.

    Reading and checking them takes half a second.
    """
    ours = [file.read_bytes() for file in sorted(Path(__file__).parent.glob("*.py"))]
    key = hashlib.sha256(repr((key, sorted(config.audiences), ours)).encode()).hexdigest()
    file = folder / f"rules-{key[:16]}.kept"
    with suppress(OSError, EOFError, pickle.UnpicklingError, AttributeError, ImportError, TypeError, ValueError):
        kept = pickle.loads(file.read_bytes())  # noqa: S301  the user's own
        if isinstance(kept, Rules):
            return kept
    loaded = load_configured(config)
    for rule in loaded.usable:
        _ = rule.sql, rule.columns  # once written they are kept along: whoever only asks needs no parser
    with suppress(OSError):  # where nothing can be kept it is read each time
        write_whole(file, pickle.dumps(loaded))
        keep_newest(folder.glob("rules-*.kept"), _KEPT)
    return loaded


def read(file: Path, *, models: Mapping[str, Model], audiences: Iterable[str]) -> Rule:
    """One rule. Raises ContractError that says which line of the file is at fault, UsageError for an unknown audience."""
    try:
        raw = file.read_bytes()
        told, lines = _parsed(raw.decode("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{file}:{mark.line + 1}" if mark else str(file)
        reason = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise ContractError(f"the rule cannot be read: {reason}.", where=place, do="mend the YAML") from error
    return _Reading(file, told, lines, models).rule(hashlib.sha256(raw).hexdigest(), audiences)


@dataclass(frozen=True)
class _Reading:
    """One file on its way to a rule."""

    file: Path
    told: Mapping[str, Any]
    lines: Mapping[str, int]
    models: Mapping[str, Model]

    def at(self, key: str) -> str:
        """Where something is said: the file, its line and the key."""
        line = self.lines.get(key, self.lines.get(key.partition(".")[0]))
        return f"{self.file}:{line}, {key}" if line else f"{self.file}, {key}"

    def rule(self, digest: str, audiences: Iterable[str]) -> Rule:
        from gpulake.judging import expression

        self._check_schema()
        told = self.told
        model = self._model()
        types = {name: _type(column) for name, column in model.columns.items()}
        time = told.get("time")
        if time is not None and time not in types:
            raise unknown_name(time, types, what="column", where=self.at("time"))
        step_s = None if time is None else _STEPS.get(types[time])
        if time is not None and step_s is None:
            raise ContractError(
                f"{time} is no day and no hour: {types[time]}.",
                where=self.at("time"),
                do="name a date, or an hour's start",
            )
        per = tuple(dict.fromkeys((CLUSTER, *_listed(told.get("per", ())))))
        for name in per:
            if name not in types:
                raise unknown_name(name, types, what="column", where=self.at("per"))
        audience = str(told.get("tell", "operators"))
        if audience not in set(audiences):
            error = unknown_name(audience, tuple(audiences), what="audience", where=self.at("tell"))
            raise UsageError(
                error.what, where=error.where, do=f"{error.do}, or add [audiences.{audience}] to gpulake.toml"
            )
        let: dict[str, Expression] = {}
        for name, written in told.get("let", {}).items():
            if name in types or name in _TOLD:
                raise ContractError(
                    f"{name} is a column already.", where=self.at(f"let.{name}"), do="choose another name"
                )
            let[name] = expression.parse(str(written), columns=types, let=let, where=self.at(f"let.{name}"))
        parsed = {
            name: expression.parse(str(told[name]), columns=types, let=let, where=self.at(name))
            for name in _EXPRESSIONS
            if name in told
        }
        where = parsed.get("where")
        if where is not None and (where.sums or where.totals):
            raise ContractError("where judges a row, not a sum.", where=self.at("where"), do="put the sum into when")
        if "until" in told and time is None:
            raise ContractError("until, but no time: nothing came before.", where=self.at("until"), do="leave it out")
        over = self._steps("over", step_s, default=1)
        for_steps = self._steps("for", step_s, default=1)
        numbers = {name for name, kind in types.items() if kind.startswith(_NUMBERS)} | set(let)
        own = {*per, *let, *_TOLD, *((time,) if time else ())}
        summed = any(each.sums for each in (*let.values(), *parsed.values()))
        self._check_grain(model, per, time or "", summed=summed, where=where, parsed={**parsed, **let})
        known = own if summed else own | set(types)

        def sentence(key: str, default: str = "") -> Template:
            written = str(told.get(key, default)).strip()
            return template.parse(written, known=known, numbers=numbers, where=self.at(key))

        made = Rule(
            name=self.file.stem,
            file=self.file,
            digest=digest,
            title=sentence("title"),
            why=" ".join(str(told["why"]).split()),
            table=model.name,
            time=time,
            step_s=step_s,
            per=per,
            types=types,
            let=let,
            when=parsed["when"],
            over_steps=over,
            for_steps=for_steps,
            clear_steps=self._steps("clear_for", step_s, default=1),
            settle_steps=self._steps("settle", step_s, default=0),
            missing_is_clear=told.get("missing", "unknown") == "clear",
            severity=Severity(told["severity"]),
            audience=audience,
            say=sentence("say"),
            do=sentence("do"),
            link=sentence("link"),
            unit=str(told.get("unit", "")),
            finds=tuple(told.get("finds", ())),
            examples={kind: told["examples"].get(kind, []) for kind in ("beside", "fires", "stays_quiet")},
            **{name: parsed.get(name) for name in _EXPRESSIONS if name != "when"},
        )
        self._check_examples(made)
        return made

    def _check_schema(self) -> None:
        from jsonschema import Draft202012Validator

        if not isinstance(self.told, Mapping):
            raise ContractError("the file holds no rule.", where=str(self.file), do="see docs/how-to/add-a-rule.md")
        faults = sorted(
            Draft202012Validator(schema()).iter_errors(self.told), key=lambda fault: list(map(str, fault.path))
        )
        if not faults:
            return
        fault = faults[0]
        key = ".".join(map(str, fault.path))
        unknown = re.findall(r"'([^']+)'", fault.message) if fault.validator == "additionalProperties" else []
        if unknown:
            allowed = tuple(fault.schema["properties"])
            raise unknown_name(unknown[0], allowed, what="setting", where=self.at(unknown[0]))
        raise ContractError(
            f"{fault.message}.", where=self.at(key) if key else str(self.file), do="see rules/schema.json"
        )

    def _model(self) -> Model:
        name = self.told["from"]
        published = {each for each in self.models if each.startswith(("gold_", "silver_"))}
        if name not in published:
            raise unknown_name(name, published, what="table", where=self.at("from"))
        return self.models[name]

    def _steps(self, key: str, step_s: int | None, *, default: int) -> int:
        written = self.told.get(key)
        if written is None:
            return default
        if step_s is None:
            raise ContractError("a length of time, but no time.", where=self.at(key), do="name the column of the time")
        number, word = str(written).split()
        seconds = int(number) * _LENGTHS[word]
        if seconds % step_s:
            raise ContractError(f"{written} is no whole number of days.", where=self.at(key), do="write it in days")
        return seconds // step_s

    def _check_grain(
        self,
        model: Model,
        per: tuple[str, ...],
        time: str,
        *,
        summed: bool,
        where: Expression | None,
        parsed: Mapping[str, Expression],
    ) -> None:
        if summed:
            for name, each in parsed.items():
                bare = each.bare_columns - set(per) - {time}
                if bare and name != "where":
                    raise ContractError(
                        f"{min(bare)} has one value a row, and the rule sums over rows.",
                        where=self.at(name),
                        do=f"sum it, or add it to per: {', '.join(per)}",
                    )
            return
        if "over" in self.told:
            raise ContractError(
                "over needs a sum.", where=self.at("over"), do="write when with sum(...), max(...) or count_if(...)"
            )
        fixed = _fixed(where)
        extra = [name for name in model.grain if name not in {*per, time, *fixed}]
        if extra or not model.grain:
            raise ContractError(
                f"{model.name} has several rows for one key and step: it has one per {', '.join(model.grain) or 'unknown grain'}.",
                where=self.at("per"),
                do=f"add {', '.join(extra)} to per, fix it in where, or sum"
                if extra
                else "choose a table with a grain",
            )

    def _check_examples(self, rule: Rule) -> None:
        allowed = {*rule.types, *({"day", "hour"} if rule.time else ())}
        for kind, rows in rule.examples.items():
            for row in rows:
                for name in row:
                    if name not in allowed:
                        raise unknown_name(name, allowed, what="column", where=self.at(f"examples.{kind}"))


@cache
def schema() -> dict[str, Any]:
    """The JSON schema of a rule file, as editors read it."""
    found: dict[str, Any] = json.loads((shipped_rules() / "schema.json").read_text(encoding="utf-8"))
    return found


_KEPT = 8
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The one in C, where it is: seventeen rules take a quarter of a second else."""


def _parsed(text: str) -> tuple[Any, dict[str, int]]:
    """What a YAML text says, and the line of each key of its first two levels. Raises YAMLError."""
    loader = _LOADER(text)
    try:
        node = loader.get_single_node()
        lines: dict[str, int] = {}
        for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
            lines[str(key.value)] = key.start_mark.line + 1
            for inner, _ in value.value if isinstance(value, yaml.MappingNode) else ():
                lines[f"{key.value}.{inner.value}"] = inner.start_mark.line + 1
        return (loader.construct_document(node) if node is not None else None), lines
    finally:
        loader.dispose()


def _fixed(where: Expression | None) -> set[str]:
    """The columns that a condition holds at one text or number, by `and` alone."""
    from sqlglot import exp

    if where is None:
        return set()
    parts = list(where.tree.flatten()) if isinstance(where.tree, exp.And) else [where.tree]
    return {
        part.this.name
        for part in parts
        if isinstance(part, exp.EQ) and isinstance(part.this, exp.Column) and isinstance(part.expression, exp.Literal)
    }


def _type(column: Column) -> str:
    return (column.data_type or "varchar").lower()


def _listed(value: object) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)  # type: ignore[arg-type]  # the schema says: a list of texts
