"""One call that does all of it: requests, findings, notices, digest, sending, receipts."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256

from gpulake.alert import RANK, Cluster, Incident, Kind, Notice, Request, Stepped, act, step
from gpulake.alert import Told as Says
from gpulake.config import Config
from gpulake.errors import GpulakeError
from gpulake.findings import Finding, Severity, State
from gpulake.incidents import inbox, records
from gpulake.incidents.outbox import Delivery, Journal, Refusal, Tried, deliver, marks, notifier_of
from gpulake.incidents.records import Queued
from gpulake.incidents.standing import digest_of
from gpulake.lake import Writer
from gpulake.tables import ALERT_EVENTS, JUDGINGS, NOTICES
from gpulake.telling.mails import digest as digests
from gpulake.telling.mails import notice as notices

FAILED_RULE = "channel_failed"
UNREACHABLE_RULE = "channel_unreachable"
_UNREACHABLE_AFTER = timedelta(hours=1)


@dataclass(frozen=True)
class Told:
    """What one call has done. `failed` could not be delivered for good, `queued` waits for the next run.

    In shadow mode `shadowed` notices were recorded and not sent.
    """

    opened: int = 0
    updated: int = 0
    resolved: int = 0
    sent: int = 0
    failed: int = 0
    queued: int = 0
    open_now: int = 0
    shadowed: int = 0
    requests: int = 0
    channels_failed: tuple[str, ...] = ()

    @property
    def error(self) -> GpulakeError | None:
        """None: a channel that does not work is an incident, not the end of a refresh."""
        return None

    def as_json(self) -> dict[str, object]:
        """For machines."""
        return {**asdict(self), "error": None}


def tell(
    writer: Writer,
    findings: Sequence[Finding],
    *,
    config: Config,
    now: datetime,
    send: bool = True,
    sleep: Callable[[float], None] = time.sleep,
) -> Told:
    """Record what the findings change, and tell whom it concerns. Repeating the call tells nobody anything twice.

    `now` is the wall clock. Without `send` the notices wait for a call with it. Raises LakeError where the lake cannot be
    written; what a channel does is never an error.
    """
    teller = _Teller(writer, config, now, sleep)
    return teller.run(findings, send=send)


def land_requests(writer: Writer, *, config: Config, now: datetime) -> int:
    """Do what people have asked since the last writer; their notices wait for the next `tell`. How many requests there were."""
    return _Teller(writer, config, now, time.sleep).land_requests()


class _Teller:
    def __init__(self, writer: Writer, config: Config, now: datetime, sleep: Callable[[float], None]) -> None:
        self._writer = writer
        self._config = config
        self._now = now
        self._sleep = sleep
        self._kinds: Counter[Kind] = Counter()
        self._clocks = records.clocks(writer)
        self._judged_before = records.judged_before(writer)
        self._machines = records.machines(writer)
        self._known = records.incidents(writer)
        self._waiting = records.waiting(writer)
        self._shadowed = 0

    def run(self, findings: Sequence[Finding], *, send: bool) -> Told:
        with Journal(self._config.lake) as journal:
            cut_off = self._land_journal(journal)
            requests = self.land_requests()
            self._over(self._mended_channels())
            self._judge(findings, rules_judged=findings)
            self._queue_digest()
            tried: list[Tried] = []
            refusals: tuple[Refusal, ...] = ()
            if send and not self._config.alerts.shadow:
                delivery = self._deliver(journal, cut_off)
                tried += delivery.tried
                refusals = delivery.refusals
                if news := [*map(self._failed, refusals), *self._out_of_reach(delivery)]:
                    self._judge(news)
                self._over(self._reached_again(delivery))
                silent = delivery.unreachable | {refusal.channel for refusal in refusals}
                tried += self._deliver(journal, cut_off, but=silent).tried
        states = Counter(each.receipt.state for each in tried)
        return Told(
            opened=self._kinds[Kind.OPEN] + self._kinds[Kind.REOPEN],
            updated=self._kinds[Kind.UPDATE],
            resolved=self._kinds[Kind.RESOLVE],
            sent=states["sent"],
            failed=states["failed"],
            queued=len(self._waiting),
            open_now=sum(incident.is_open for incident in self._known.values()),
            shadowed=self._shadowed,
            requests=requests,
            channels_failed=tuple(sorted(refusal.channel for refusal in refusals)),
        )

    # --- deciding ---

    def land_requests(self) -> int:
        """Requests become events; one that was done before a kill is not done again."""
        folder = self._config.lake
        inbox.set_aside_unreadable(folder)
        asked = inbox.read(folder)
        if asked:
            done = records.requests_done(self._writer, [each.request.request_id for each in asked])
            requests = [each.request for each in asked if each.request.request_id not in done]
            policy = self._config.alerts.policy
            self._record(act(self._known, requests, self._now, policy=policy, clusters=self._clusters(())))
            inbox.drop(asked)
        return len(asked)

    def _judge(self, findings: Sequence[Finding], *, rules_judged: Sequence[Finding] = ()) -> None:
        clusters = self._clusters(findings)
        stepped = step(self._known, findings, self._now, policy=self._config.alerts.policy, clusters=clusters)
        self._record(stepped, judgings=self._judgings(rules_judged, clusters))

    def _clusters(self, findings: Iterable[Finding]) -> dict[str, Cluster]:
        """Each cluster's now: the wall clock's where its stamps are real, else the latest that was judged."""
        latest: dict[str, datetime] = {}
        for finding in findings:
            latest[finding.cluster_id] = max(latest.get(finding.cluster_id, finding.at), finding.at)
        found = {"": Cluster(self._now)}
        for cluster_id in {*latest, *self._clocks} - {""}:
            clock = self._clocks.get(cluster_id)
            is_real = clock is None or clock.time_basis == "real"
            now = self._now if is_real else latest.get(cluster_id)
            if now is not None:
                found[cluster_id] = Cluster(
                    now, self._machines.get(cluster_id, 0), cluster_id not in self._judged_before
                )
        return found

    def _judgings(self, findings: Sequence[Finding], clusters: Mapping[str, Cluster]) -> list[dict[str, object]]:
        """What was looked at: each cluster, and the lake itself where all is well with it."""
        by_cluster: dict[str, list[Finding]] = defaultdict(list)
        for finding in findings:
            if finding.cluster_id or finding.state is State.CLEAR:
                by_cluster[finding.cluster_id].append(finding)
        publication = self._writer.layout.publication()
        return [
            {
                "build_id": publication.build_id if publication else None,
                "cluster_id": cluster_id,
                "cluster_now": clusters[cluster_id].now,
                "judged_at": self._now,
                "findings": len(some),
                "firing": sum(finding.state is State.FIRING for finding in some),
                "judged_until": max(finding.at for finding in some),
            }
            for cluster_id, some in sorted(by_cluster.items())
        ]

    # --- recording ---

    def _record(self, stepped: Stepped, *, judgings: Sequence[Mapping[str, object]] = ()) -> None:
        """The facts and what they call for, in one transaction."""
        if not stepped.events and not judgings:
            return
        is_shadow = self._config.alerts.shadow
        notices = [queued for notice in stepped.notices for queued in self._addressed(notice)]
        rows = [records.queued_row(queued, state="shadow" if is_shadow else "queued") for queued in notices]
        with self._writer.transaction("alerts", events=len(stepped.events), notices=len(rows)):
            if stepped.events:
                events = records.table_of(ALERT_EVENTS, map(records.event_row, stepped.events))
                self._writer.insert(ALERT_EVENTS, events)
            if rows:
                self._writer.insert(NOTICES, records.table_of(NOTICES, rows))
            if judgings:
                self._writer.insert(JUDGINGS, records.table_of(JUDGINGS, judgings))
        self._kinds.update(event.kind for event in stepped.events)
        self._known = stepped.incidents
        if is_shadow:
            self._shadowed += len(notices)
        else:
            self._waiting += notices

    def _addressed(self, notice: Notice) -> list[Queued]:
        """The notice to each channel of its audience that wants it."""
        found = []
        for name in self._config.audiences.get(notice.audience, ()):
            channel = self._config.alerts.channels[name]
            if RANK[notice.severity] < RANK[channel.at_least]:
                continue
            if notice.told is Says.ACKNOWLEDGED:
                notifier = notifier_of(channel, self._config)
                if notifier is None or not notifier.acknowledges:
                    continue
            notice_id = _name(notice.event_id, name)
            message = notices.message_of(notice, notice_id=notice_id, clocks=self._clocks)
            found.append(Queued(message, name, notice.audience, notice.event_id, self._now))
        return found

    def _queue_digest(self) -> None:
        """One digest a day, by the wall clock's day."""
        audience = self._config.alerts.digest_to
        last = records.last_digest_at(self._writer)
        if audience is None or self._config.alerts.shadow or (last is not None and last.date() >= self._now.date()):
            return
        found = digest_of(self._writer, config=self._config, now=self._now, since=last)
        day = self._now.date().isoformat()
        queued = []
        for name in self._config.audiences.get(audience, ()):
            notifier = notifier_of(self._config.alerts.channels[name], self._config)
            if notifier is not None and not notifier.reads_digests:
                continue
            message = digests.message_of(found, notice_id=_name(f"digest {day}", name), clocks=self._clocks)
            queued.append(Queued(message, name, audience, "", self._now))
        if queued:
            rows = [records.queued_row(each, state="queued") for each in queued]
            with self._writer.transaction("alerts", digest=day):
                self._writer.insert(NOTICES, records.table_of(NOTICES, rows))
            self._waiting += queued

    # --- sending ---

    def _deliver(self, journal: Journal, cut_off: frozenset[str], *, but: frozenset[str] = frozenset()) -> Delivery:
        delivery = deliver(
            [queued for queued in self._waiting if queued.channel not in but],
            config=self._config,
            now=self._now,
            journal=journal,
            cut_off=cut_off,
            disabled=self._disabled(),
            sleep=self._sleep,
        )
        self._land_receipts(delivery.tried)
        journal.forget()
        return delivery

    def _land_receipts(self, tried: Sequence[Tried]) -> None:
        if not tried:
            return
        rows = [
            records.receipt_row(
                each.queued,
                state=each.receipt.state,
                at=self._now,
                attempts=each.receipt.attempts,
                code=each.receipt.code,
                words=each.receipt.words,
            )
            for each in tried
        ]
        with self._writer.transaction("alerts", receipts=len(rows)):
            self._writer.insert(NOTICES, records.table_of(NOTICES, rows))
        over = {each.queued.notice_id for each in tried if each.receipt.state != "retry"}
        again = {
            each.queued.notice_id: replace(
                each.queued, seq=each.queued.seq + 1, attempts=each.queued.attempts + each.receipt.attempts
            )
            for each in tried
        }
        self._waiting = [
            again.get(queued.notice_id, queued) for queued in self._waiting if queued.notice_id not in over
        ]

    def _land_journal(self, journal: Journal) -> frozenset[str]:
        """Receipts of a run that was killed before it could land them; and what it was sending just then."""
        receipts, cut_off = journal.read()
        waiting = {queued.notice_id: queued for queued in self._waiting}
        self._land_receipts([Tried(waiting[name], receipts[name]) for name in sorted(receipts) if name in waiting])
        if receipts and not cut_off:
            journal.forget()
        return cut_off

    # --- channels ---

    def _disabled(self) -> frozenset[tuple[str, str]]:
        """Channels, by the mark of their address, that refused for good and have not been mended."""
        return frozenset(
            (key["channel"], key["address"])
            for incident in self._known.values()
            if incident.is_open and incident.finding.rule == FAILED_RULE
            for key in [dict(incident.finding.key)]
        )

    def _mended_channels(self) -> list[Incident]:
        """A channel whose address is another one, or that nobody uses any more, has not failed."""
        used = marks(self._config)
        return [
            incident
            for incident in self._known.values()
            if incident.is_open and incident.finding.rule == FAILED_RULE
            for key in [dict(incident.finding.key)]
            if used.get(key["channel"]) != key["address"]
        ]

    def _failed(self, refusal: Refusal) -> Finding:
        said = f" ({refusal.code})" if refusal.code else ""
        return Finding(
            rule=FAILED_RULE,
            key=(("channel", refusal.channel), ("address", refusal.mark)),
            state=State.FIRING,
            at=self._now,
            since=self._now,
            severity=Severity.PAGE,
            title=f"Channel {refusal.channel} does not work",
            message=f"Nothing can be sent by the channel {refusal.channel}{said}: {refusal.words or 'it refuses'}",
            do=f"mend [channels.{refusal.channel}] in gpulake.toml; if only the service was at fault, resolve this incident",
        )

    def _out_of_reach(self, delivery: Delivery) -> list[Finding]:
        """Channels that have not been there for an hour."""
        gone = {
            queued.channel
            for queued in self._waiting
            if queued.channel in delivery.unreachable and self._now - queued.queued_at >= _UNREACHABLE_AFTER
        }
        return [
            Finding(
                rule=UNREACHABLE_RULE,
                key=(("channel", name),),
                state=State.FIRING,
                at=self._now,
                since=self._now,
                severity=Severity.TICKET,
                title=f"Channel {name} cannot be reached",
                message=f"What is to be told by the channel {name} has waited for an hour: each run tries it again.",
                do="check the service and the network between",
            )
            for name in sorted(gone)
        ]

    def _reached_again(self, delivery: Delivery) -> list[Incident]:
        sent = {each.queued.channel for each in delivery.tried if each.receipt.state == "sent"}
        return [
            incident
            for incident in self._known.values()
            if incident.is_open and incident.finding.rule == UNREACHABLE_RULE
            if dict(incident.finding.key)["channel"] in sent
        ]

    def _over(self, incidents: Sequence[Incident]) -> None:
        """What we see ourselves needs no clear hours."""
        if incidents:
            requests = [
                Request(f"{each.incident_id}-{each.seq}", Kind.RESOLVE, each.incident_id, "gpulake", self._now)
                for each in incidents
            ]
            policy = self._config.alerts.policy
            self._record(act(self._known, requests, self._now, policy=policy, clusters=self._clusters(())))


def _name(event_id: str, channel: str) -> str:
    """The same for the same event and channel, in every repetition."""
    return sha256(f"{event_id}\n{channel}".encode()).hexdigest()[:16]
