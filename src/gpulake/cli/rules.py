"""Commands about rules: rules list, test, explain, backtest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Annotated

import typer

from gpulake.cli import edge
from gpulake.errors import ContractError, DataTestError, GpulakeError, UsageError

if TYPE_CHECKING:
    from gpulake.backtest import Backtest, Sent
    from gpulake.findings import Finding
    from gpulake.judging import Broken, Judged, Rule
    from gpulake.judging.examples import Tested

_MOST_SHOWN = 10

rules = typer.Typer(help="Look at the rules by which people are told, try them out, replay them over history.")

NamesArgument = Annotated[list[str], typer.Argument(metavar="NAME", help="Only these rules.")]


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.add_typer(rules, name="rules")


@rules.command("list")
def list_(lake: edge.LakeOption = None, as_json: edge.JsonOption = False) -> None:
    """List the rules: severity, audience, table, and whether each was replayed over the history of this lake."""
    from gpulake import judging

    config = edge.config_of(lake)
    found = judging.load_configured(config)
    replayed = _replayed(config.lake)
    if as_json:
        listed = [_listed(rule, replayed) for rule in found.usable]
        edge.put_json({"rules": listed, "broken": _broken_json(found.broken), "error": None})
        return
    from gpulake.telling.text import text_table

    rows = [[rule.name, rule.severity, rule.audience, rule.table, _standing(rule, replayed)] for rule in found.usable]
    edge.put("\n".join(text_table(["rule", "severity", "tells", "table", "replayed"], rows, right=set())))
    never = [rule.name for rule in found.usable if rule.time and not _is_replayed(rule, replayed)]
    if never:
        edge.put(
            f"warning: {len(never)} of {len(found.usable)} rules were never replayed as they are: gpulake rules backtest"
        )
    _tell_broken(found.broken)


@rules.command("test")
def try_out(names: NamesArgument = [], as_json: edge.JsonOption = False) -> None:  # noqa: B006  # Typer copies it
    """Run the examples of rules, then move each threshold past them: some example must come out otherwise."""
    from gpulake import judging
    from gpulake.judging import examples

    found = judging.load_configured(edge.config_of(None)).only(names)
    tested, broken = [], list(found.broken)
    for rule in found.usable:
        try:
            tested.append(examples.try_out(rule))
        except (ContractError, UsageError) as error:
            broken.append(judging.Broken(rule.name, error))
    bad = [each.rule for each in tested if not each.ok]
    fault: GpulakeError | None = broken[0].error if broken else None
    if bad:
        fault = DataTestError(
            f"{len(bad)} of {len(tested)} rules do not say what their examples say: {', '.join(bad)}.",
            do="mend the rule or its examples",
        )
    if as_json:
        from dataclasses import asdict

        told = [{**asdict(each), "ok": each.ok} for each in tested]
        edge.put_json({"rules": told, "broken": _broken_json(broken), "error": fault.as_json() if fault else None})
    else:
        edge.put("\n".join(line for each in tested for line in _tested_lines(each)) or "no rule can be tested")
        _tell_broken(broken)
        if bad and fault:
            edge.tell_error(fault)
    if fault:
        raise typer.Exit(fault.exit_code)


@rules.command()
def explain(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The rule.")],
    lake: edge.LakeOption = None,
    as_json: edge.JsonOption = False,
) -> None:
    """Say what a rule looks for, in words and in SQL, and what it says of the Publication."""
    from gpulake import judging
    from gpulake.lake import open_publication

    config = edge.config_of(lake)
    found = judging.load_configured(config).only([name])
    if found.broken:
        raise found.broken[0].error
    (rule,) = found.usable
    judged = None
    if _is_published(config.lake):
        with open_publication(config.lake) as reader:
            judged = judging.judge(reader, [rule])
    sql = rule.sql
    if as_json:
        facts = {"rule": rule.name, "file": rule.file, "says": _sentences(rule), "sql": sql}
        edge.put_json({**facts, "now": None if judged is None else _judged_json(judged), "error": None})
        return
    edge.put(
        "\n".join(
            [*_explained(rule), "", *_now_lines(judged), "", "the SQL", *(f"  {line}" for line in sql.splitlines())]
        )
    )


@rules.command()
def backtest(
    since: Annotated[
        str | None, typer.Option("--since", metavar="DAY", help="First day. [default: the first there is]")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="DAY", help="Day after the last.")] = None,
    names: Annotated[
        list[str], typer.Option("--rule", metavar="NAME", help="Only this rule; may be given again.")
    ] = [],  # noqa: B006
    truth: Annotated[
        Path | None,
        typer.Option(
            "--truth",
            metavar="FILE",
            help="Labelled faults: .parquet or .csv, as simulate --faults or --many-faults writes it.",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Do not write down in the lake that it was done.")] = False,
    lake: edge.LakeOption = None,
    wait_s: edge.WaitOption = 0.0,
    as_json: edge.JsonOption = False,
) -> None:
    """Replay the rules over history: what would have been told on each day, to whom, and how much of it was right."""
    from gpulake import backtest as replaying
    from gpulake import clock, judging
    from gpulake.lake import open_publication

    config = edge.config_of(lake)
    found = judging.load_configured(config).only(names)
    faults = None if truth is None else replaying.read_faults(truth)
    with open_publication(config.lake) as reader:
        result = replaying.backtest(
            reader,
            found.usable,
            since=_date(since, "--since"),
            until=_date(until, "--until"),
            faults=faults,
            policy=config.alerts.policy,
        )
        clocks = judging.clocks_of(reader)
    written = 0 if dry_run else replaying.record(config.lake, result, found.usable, now=clock.now(), wait_s=wait_s)
    broken = [*found.broken, *result.broken]
    if as_json:
        edge.put_json({**result.as_json(), "broken": _broken_json(broken), "recorded": written})
        return
    first = next(iter(clocks.values()), judging.Clock())
    edge.put("\n".join(_backtest_lines(result, first.day)))
    if written:
        edge.put(f"recorded for {written} rules")
    _tell_broken(broken)


# --- what is said of them --------------------------------------------------------------------------------------------


def _listed(rule: Rule, replayed: Mapping[str, tuple[str, datetime]]) -> dict[str, object]:
    return {
        "name": rule.name,
        "severity": rule.severity,
        "audience": rule.audience,
        "table": rule.table,
        "file": rule.file,
        "why": rule.why,
        "replayed_at": replayed[rule.name][1] if rule.name in replayed else None,
        "replayed_as_it_is": _is_replayed(rule, replayed),
        "can_be_replayed": rule.time is not None,
    }


def _standing(rule: Rule, replayed: Mapping[str, tuple[str, datetime]]) -> str:
    if rule.time is None:
        return "cannot be: no time"
    if rule.name not in replayed:
        return "never"
    return f"{replayed[rule.name][1]:%Y-%m-%d}" if _is_replayed(rule, replayed) else "before it was changed"


def _is_replayed(rule: Rule, replayed: Mapping[str, tuple[str, datetime]]) -> bool:
    """Whether it was, as its file is today."""
    return rule.name in replayed and replayed[rule.name][0] == rule.digest


def _tested_lines(tested: Tested) -> Iterator[str]:
    yield f"{'ok' if tested.ok else 'FAILS':<6}{tested.rule}: {tested.examples} examples, {tested.moved} thresholds moved"
    yield from (f"      {fault}" for fault in tested.faults)
    yield from (f"      no example notices {what}" for what in tested.loose)


def _sentences(rule: Rule) -> dict[str, str]:
    """The rule in words, by what they say."""
    told = {
        "why": rule.why,
        "looks at": f"{rule.table}, per {', '.join(rule.per)}" + (f", by {rule.time}" if rule.time else ""),
    }
    if rule.where:
        told["only where"] = rule.where.text
    if rule.over_steps > 1:
        told["sums over"] = rule.length(rule.over_steps)
    told |= {f"  {name}": each.text for name, each in rule.let.items()}
    told["begins when"] = rule.when.text + (f", for {rule.length(rule.for_steps)}" if rule.for_steps > 1 else "")
    told["ends when"] = rule.until.text if rule.until else "that is no longer so"
    if rule.clear_steps > 1:
        told["ends when"] += f", for {rule.length(rule.clear_steps)}"
    if rule.settle_steps:
        told["judges"] = f"what lies back {rule.length(rule.settle_steps)}: it may not be whole before"
    told["no row"] = (
        "means that nothing was there: it ends" if rule.missing_is_clear else "is not known: nothing begins or ends"
    )
    told["tells"] = f"{rule.audience}, as {rule.severity}"
    told["says"] = rule.say.written
    told["do"] = rule.do.written
    return told


def _explained(rule: Rule) -> Iterator[str]:
    from gpulake.telling.text import WIDTH

    yield rule.name
    yield "═" * len(rule.name)
    for what, words in _sentences(rule).items():
        first, *others = wrap(" ".join(words.split()), WIDTH - 18) or [""]
        yield f"{what:<18}{first}"
        yield from (f"{'':<18}{line}" for line in others)
    yield f"{'file':<18}{rule.file}"


def _now_lines(judged: Judged | None) -> Iterator[str]:
    if judged is None:
        yield "nothing is published here yet, so it says nothing"
        return
    for broken in judged.broken:
        yield f"it cannot be asked: {broken.error.what}"
    states = [finding.state for finding in judged.findings]
    counts = ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states)))
    yield f"it says now: {counts or 'nothing: no row'}"
    firing = [finding for finding in judged.findings if finding.state == "firing"]
    for finding in firing[:_MOST_SHOWN]:
        yield from wrap(f"{finding.title}. {finding.message}", 96, initial_indent="  ", subsequent_indent="    ")
    if len(firing) > _MOST_SHOWN:
        yield f"  and {len(firing) - _MOST_SHOWN:,} more: --json lists them all"


def _judged_json(judged: Judged) -> dict[str, object]:
    return {"findings": [_finding_json(each) for each in judged.findings], "broken": _broken_json(judged.broken)}


def _finding_json(finding: Finding) -> dict[str, object]:
    from dataclasses import asdict

    return {**asdict(finding), "key": dict(finding.key), "values": dict(finding.values)}


def _backtest_lines(found: Backtest, day: Callable[[date], str]) -> Iterator[str]:
    from gpulake.findings import Severity
    from gpulake.telling.text import text_table

    count = len(found.days)
    yield f"{count} days, {day(found.since)} to {day(found.days[-1].day)}, build {found.build_id}"
    yield ""
    rows = [
        [
            score.rule,
            score.severity,
            score.audience,
            f"{score.incidents:,}",
            f"{score.notices:,}",
            f"{score.busiest} on {day(score.busiest_day)}" if score.busiest_day else "",
            str(score.open_at_the_end),
        ]
        for score in found.scores
    ]
    yield from text_table(["rule", "severity", "tells", "incidents", "told", "most", "open"], rows, right={3, 4, 6})
    yield ""
    sums = {kind: sum(each.sent[kind] for each in found.days) for kind in (Severity.PAGE, Severity.TICKET)}
    yield "sent: " + ", ".join(f"{n:,} × {kind} ({n / count:.2f} a day)" for kind, n in sums.items())
    told = ", ".join(f"{who} {n:,} ×" for who, n in found.audiences.items())
    yield f"told: {told or 'nobody'}"
    if found.faults is not None:
        yield from _truth_lines(found)
    yield from _page_lines([each for each in found.sent if each.severity is Severity.PAGE and each.is_alarm])
    if found.not_replayed:
        yield ""
        yield f"not replayed, for their tables have no time: {', '.join(found.not_replayed)}"


def _truth_lines(found: Backtest) -> Iterator[str]:
    """The labelled faults, and what was told of them."""
    from gpulake.telling.text import text_table

    yield ""
    rows = [
        [
            score.rule,
            f"{score.faults_found} of {score.faults}",
            f"{score.hits} of {score.incidents}",
            "" if score.delay_h is None else f"{score.delay_h:.0f} h",
        ]
        for score in found.scores
        if score.faults is not None
    ]
    yield from text_table(["against labelled faults", "found", "right", "told after"], rows, right={1, 2, 3})
    yield ""
    kinds = []
    for kind, counts in found.confusion.items():
        by = [f"{rule} {n}" for rule, n in counts.items() if rule not in {"faults", "found"}]
        kinds.append([kind, f"{counts['found']} of {counts['faults']}", ", ".join(by) or "no rule looks for them"])
    yield from text_table(["kind of fault", "found", "by"], kinds, right={1})


def _page_lines(pages: Sequence[Sent]) -> Iterator[str]:
    if pages:
        yield ""
        yield "the pages"
    for each in pages[:_MOST_SHOWN]:
        yield f"  {each.title}" + (f" ({each.things} things)" if each.things > 1 else "")
        yield from wrap(each.message, 96, initial_indent="    ", subsequent_indent="    ")
    if len(pages) > _MOST_SHOWN:
        yield f"  and {len(pages) - _MOST_SHOWN:,} more: --json lists them all"


def _broken_json(broken: Iterable[Broken]) -> list[dict[str, object]]:
    return [{"rule": each.name, **each.error.as_json()} for each in broken]


def _tell_broken(broken: Sequence[Broken]) -> None:
    """The rules at fault: the others have gone on."""
    for each in broken:
        edge.tell_error(each.error)


def _replayed(lake_dir: Path) -> Mapping[str, tuple[str, datetime]]:
    from gpulake.backtest import recorded
    from gpulake.lake import open_publication

    if not _is_published(lake_dir):
        return {}
    with open_publication(lake_dir) as reader:
        return recorded(reader)


def _is_published(lake_dir: Path) -> bool:
    from gpulake.lake import Layout

    return Layout(lake_dir).publication() is not None


def _date(written: str | None, option: str) -> date | None:
    if written is None:
        return None
    try:
        return date(1970, 1, 1) + timedelta(days=int(written)) if written.isdecimal() else date.fromisoformat(written)
    except (ValueError, OverflowError) as error:
        do = "write it as 2026-11-24, or as the number of a day where the dates are hidden"
        raise UsageError(f"{written!r} is no day.", where=option, do=do) from error
