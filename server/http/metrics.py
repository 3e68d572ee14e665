"""Numbers about the server for Prometheus. No label ever holds who or what a request was about."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from server.records.dead_letters import Health as ChannelHealth
from server.records.quarantine import Standing

SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The library's own variable: the folder in which workers count together (`server/cli/workers.py` makes it)."""
CONTENT_TYPE = CONTENT_TYPE_LATEST
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The metrics of one application, in a registry of its own so that several can live in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "earlysign_requests", "Requests answered.", ("method", "route", "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "earlysign_request_seconds",
            "Time from request to the start of the answer.",
            ("method", "route"),
            buckets=SECONDS,
            registry=self.registry,
        )
        self.under_way = Gauge(
            "earlysign_requests_under_way",
            "Requests not yet answered.",
            registry=self.registry,
            multiprocess_mode="livesum",
        )
        self.notes = Counter(
            "earlysign_ops",
            "Ops received from phones, by what became of them.",
            ("outcome",),
            registry=self.registry,
        )
        self.uploads = Counter(
            "earlysign_uploads",
            "Attachments from phones, by how the upload ended.",
            ("end",),
            registry=self.registry,
        )
        self.upload_bytes = Counter(
            "earlysign_upload_bytes", "Bytes of attachments that reached the disk.", registry=self.registry
        )

    def render(
        self,
        linked: Sequence[tuple[str, bool, int]] = (),
        channels: Sequence[ChannelHealth] = (),
        now: int = 0,
        set_aside: Standing | None = None,
    ) -> bytes:
        """All of them, as Prometheus reads them; with what is counted in the database and so by every process: what
        linkage made of the subjects of notes (outcome, identifiable, how many), how the channels of alerts fare, and
        how what was set aside for a person stands."""
        kept = CollectorRegistry()
        if set_aside is not None:
            kept.register(_SetAside(set_aside, now))
        kept.register(_Linked(linked))
        kept.register(_Channels(channels, now))
        return generate_latest(self._counted()) + generate_latest(kept)

    def _counted(self) -> CollectorRegistry:
        """What this process counted, or where it is one of several workers, what all of them counted."""
        if SHARED_FOLDER not in os.environ:
            return self.registry
        together = CollectorRegistry()
        multiprocess.MultiProcessCollector(together)  # type: ignore[no-untyped-call]  # not typed
        return together


class _Linked:
    """Counts that are read from the database when somebody asks."""

    def __init__(self, counts: Sequence[tuple[str, bool, int]]) -> None:
        self._counts = counts

    def collect(self) -> Iterable[CounterMetricFamily]:
        family = CounterMetricFamily(
            "earlysign_subjects",
            "Subjects of notes, by what linkage made of them and whether the description was identifiable.",
            labels=("outcome", "identifiable"),
        )
        for outcome, identifiable, number in self._counts:
            family.add_metric((outcome, "yes" if identifiable else "no"), number)
        yield family


class _SetAside:
    """How many entries wait in quarantine, and for how long: an alert on it tells an operator that a note may wait
    unread."""

    def __init__(self, standing: Standing, now: int) -> None:
        self._standing = standing
        self._oldest_ms = 0 if standing.oldest_at is None else max(0, now - standing.oldest_at)

    def collect(self) -> Iterable[Metric]:
        said = "Entries of phones that were set aside and wait for a person to decide."
        yield GaugeMetricFamily("earlysign_set_aside_waiting", said, value=self._standing.waiting)
        said = "How long the oldest of them has waited."
        yield GaugeMetricFamily("earlysign_set_aside_oldest_seconds", said, value=self._oldest_ms / 1000)
        said = "How long the entries that a person released had stood in quarantine, all together."
        stood = self._standing.released_ms / 1000
        yield CounterMetricFamily("earlysign_set_aside_released_seconds", said, value=stood)


class _Channels:
    """How each channel of alerts fares, read from the database when somebody asks. A channel has a name that an
    administrator gave it; no address, person, borough or alert is in it."""

    def __init__(self, channels: Sequence[ChannelHealth], now: int) -> None:
        self._channels = channels
        self._now = now

    def collect(self) -> Iterable[Metric]:
        counted: tuple[tuple[str, str, Callable[[ChannelHealth], int]], ...] = (
            ("attempts", "Messages that were tried over a channel.", lambda one: one.attempts),
            ("failures", "Attempts that failed.", lambda one: one.failed_attempts),
        )
        for name, said, read in counted:
            counter = CounterMetricFamily(f"earlysign_channel_{name}", said, labels=("channel",))
            for one in self._channels:
                counter.add_metric((one.channel,), read(one))
            yield counter
        standing: tuple[tuple[str, str, Callable[[ChannelHealth], float]], ...] = (
            (
                "waiting",
                "Messages that wait to be sent, those for a digest included.",
                lambda one: one.waiting,
            ),
            ("dead_letters", "Messages that were given up, for a person to look at.", lambda one: one.dead),
            ("failures_in_a_row", "Attempts that failed since one last arrived.", lambda one: one.failures),
            (
                "oldest_undelivered_seconds",
                "How long the oldest message has waited that should have gone by now; 0 where none is late.",
                lambda one: 0 if one.oldest_due_at is None else (self._now - one.oldest_due_at) / 1000,
            ),
        )
        for name, said, look in standing:
            gauge = GaugeMetricFamily(f"earlysign_channel_{name}", said, labels=("channel",))
            for one in self._channels:
                gauge.add_metric((one.channel,), look(one))
            yield gauge
