"""The plan of a replay of tapes: which of them, which range, how much; made before anything is published."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from spyctl.dbn.sort_times import Selection
from spyctl.errors import DamagedFileError
from spyctl.market.events import Reset
from spyctl.market.subjects import SUBJECTS, rank_of, subject_of
from spyctl.replay.plan import MESSAGE_OVERHEAD
from spyctl.replay.tape_source import TapeSource, subject_ranks
from spyctl.replay.tapes.catalog import TapeInfo, grouped
from spyctl.replay.tapes.growing import GrowingPlaylist
from spyctl.replay.tapes.order import Choice, TapeOrder, in_order
from spyctl.replay.tapes.playlist import Playlist
from spyctl.replay.targets import Span
from spyctl.replay.volume import Pace, Volume
from spyctl.timing.instants import NEW_YORK, SECOND

_COUNTED = 20_000_000  # bytes of tapes that are read to count what is on them
_RESET = rank_of(subject_of(Reset))
_PAYLOAD_BYTES = 400  # of an event, where nobody has counted


def short_name(subject: str) -> str:
    """Return what a subject is called in a plan: ``stocks.quotes``, ``futures.mbp10``."""
    return subject.partition("market.")[2]


@dataclass(frozen=True, slots=True)
class TapePlan:
    """What a replay of tapes would play. ``what`` says where they come from, ``origin`` where the dates were asked for.

    Its properties are those of a :class:`spyctl.replay.plan.Plan`.
    """

    tapes: tuple[TapeInfo, ...]
    source: TapeSource
    what: str
    origin: str
    volume: Volume
    zone: ZoneInfo = NEW_YORK
    synthetic: bool = False
    unreadable: tuple[DamagedFileError, ...] = ()

    @property
    def dates(self) -> tuple[date, ...]:
        """The trading days that are played."""
        return tuple(sorted({info.day for info in self.tapes if info.day is not None}))

    @property
    def selection(self) -> Selection:
        """The range that is played, as files would have it."""
        choice = self.source.choice
        return Selection(start_ns=choice.start_ns, end_ns=choice.end_ns, reorder_ns=choice.reorder_ns)

    @property
    def symbols(self) -> tuple[str, ...]:
        """What is played, in the place of symbols."""
        return (self.what,)

    @property
    def stream_bytes(self) -> int:
        """About how much the events will take in the stream."""
        return sum(self.volume.events.values()) * (self._payload_bytes + MESSAGE_OVERHEAD)

    def fits(self, free: int) -> bool:
        """Tell whether the events fit into so many bytes of a stream."""
        return self.stream_bytes <= free

    @property
    def span(self) -> Span | None:
        """The event time that is played, where anything is."""
        schedule = self.volume.schedule
        if schedule is None:
            return None
        slack_ns = 0 if self.volume.exact else self.source.choice.reorder_ns
        return Span(schedule.first_ns, schedule.last_ns, self.zone, slack_ns)

    @property
    def quiet(self) -> Sequence[tuple[int, int]]:
        """The stretches without events that are shortened."""
        return self.volume.schedule.quiet if self.volume.schedule is not None else ()

    @property
    def inputs(self) -> list[dict[str, object]]:
        """What tells these tapes from others of the same name."""
        return [
            {"path": info.path.name, "size": info.size, "digest": info.contents.get("digest")} for info in self.tapes
        ]

    @property
    def jumps(self) -> int:
        """How often the replay jumped that was recorded."""
        return _held(self.tapes).get(short_name(SUBJECTS[_RESET]), 0)

    @property
    def content(self) -> dict[str, Any]:
        """What decides, beside the tapes, which events are played."""
        choice = self.source.choice
        return {
            "order": choice.order.value,
            "ranks": sorted(choice.ranks) if choice.ranks is not None else None,
            "start_ns": choice.start_ns,
            "end_ns": choice.end_ns,
            "from_seq": choice.from_seq,
            "from_stored_ns": choice.from_stored_ns,
            "reorder_ns": choice.reorder_ns,
        }

    @property
    def _payload_bytes(self) -> int:
        events = sum(info.contents.get("events") or 0 for info in self.tapes)
        size = sum(info.contents.get("bytes") or 0 for info in self.tapes)
        return size // events if events else _PAYLOAD_BYTES


def make_tape_plan(
    tapes: Sequence[TapeInfo],
    choice: Choice,
    pace: Pace,
    *,
    what: str,
    origin: str,
    count: int | None = None,
    zone: ZoneInfo = NEW_YORK,
    growing: GrowingPlaylist | None = None,
) -> TapePlan:
    """Count what is chosen of some tapes; large ones are estimated by what their ``.json`` says.

    Those of a replay that jumped, whose times go back, are played in stored order; so are those that are ``growing``,
    since of two feeds one may have nothing for long.
    """
    playlist = Playlist(grouped(tapes), name=tapes[0].name if tapes else "")
    if _held(tapes).get(short_name(SUBJECTS[_RESET])):
        choice = replace(choice, order=TapeOrder.STORED)
    if sum(info.size for info in tapes) <= _COUNTED:
        volume = _counted(playlist, choice, pace, count)
    else:
        volume = _estimated(tapes, choice, pace, count)
    if growing is not None:
        choice = replace(choice, order=TapeOrder.STORED)
        subjects = tuple(SUBJECTS[rank] for rank in sorted(choice.ranks)) if choice.ranks is not None else SUBJECTS
        return TapePlan(tuple(tapes), TapeSource(growing, choice, subjects), what, origin, volume, zone)
    held = volume.events if volume.exact else _held(tapes)
    wanted = choice.ranks if choice.ranks is not None else range(len(SUBJECTS))
    subjects = tuple(SUBJECTS[rank] for rank in sorted(wanted) if held.get(short_name(SUBJECTS[rank])))
    choice = replace(choice, ranks=subject_ranks(subjects))  # a tape is read once for each feed that is on it
    return TapePlan(tuple(tapes), TapeSource(playlist, choice, subjects), what, origin, volume, zone)


def _counted(playlist: Playlist, choice: Choice, pace: Pace, count: int | None) -> Volume:
    ranks, quiet = np.zeros(len(SUBJECTS), np.int64), list[tuple[int, int]]()
    first_ns = last_ns = None
    left = count
    for batch in in_order(playlist, choice):
        piece = batch[:left] if left is not None else batch
        if left == 0:
            break
        if not len(piece):
            continue  # on the way to the start
        ranks += np.bincount(piece.ranks, minlength=len(SUBJECTS))
        times = piece.sort_ns if last_ns is None else np.concatenate([[last_ns], piece.sort_ns])
        for i in np.flatnonzero(np.diff(times) > pace.quiet_from_ns).tolist():
            quiet.append((int(times[i]), int(times[i + 1])))
        first_ns = int(piece.sort_ns[0]) if first_ns is None else first_ns
        last_ns = int(piece.sort_ns[-1])
        left = left - len(piece) if left is not None else None
    events = _by_name(dict(zip(SUBJECTS, ranks.tolist(), strict=True)))
    if first_ns is None or last_ns is None:
        return Volume(events, events, None, exact=True)
    return Volume(events, events, pace.schedule(first_ns, last_ns, events, quiet), exact=True)


def _estimated(tapes: Sequence[TapeInfo], choice: Choice, pace: Pace, count: int | None) -> Volume:
    known = all(info.contents for info in tapes)
    counts: dict[str, int] = {}
    spans: list[tuple[int, int]] = []
    for info in tapes:
        for subject, tally in (info.contents.get("by_subject") or {}).items():
            plain = subject.removeprefix(f"{info.prefix}.")
            rank = SUBJECTS.index(plain) if plain in SUBJECTS else -1
            if rank < 0 or (choice.ranks is not None and rank not in choice.ranks) or tally["first_event_ns"] is None:
                continue
            first_ns, last_ns = int(tally["first_event_ns"]), int(tally["last_event_ns"])
            start_ns, end_ns = max(first_ns, choice.start_ns), min(last_ns + 1, choice.end_ns)
            if start_ns < end_ns:
                share = (end_ns - start_ns) / (last_ns + 1 - first_ns)
                counts[plain] = counts.get(plain, 0) + round(int(tally["events"]) * share)
                spans.append((start_ns, end_ns - 1))
    if not known:
        size = sum(info.size for info in tapes)
        counts, spans = dict.fromkeys(SUBJECTS, size // len(SUBJECTS) // 10), spans or [(0, 10**18)]
    events = _by_name({subject: counts.get(subject, 0) for subject in SUBJECTS})
    if not spans:
        return Volume(events, events, None, exact=False)
    if count is not None:
        events = {name: min(number, count) for name, number in events.items()}
    first_ns, last_ns = min(start for start, _ in spans), max(end for _, end in spans)
    return Volume(
        events, events, pace.schedule(first_ns, max(last_ns, first_ns + SECOND), events, ()), exact=False, known=known
    )


def _by_name(counts: Mapping[str, int]) -> dict[str, int]:
    return {short_name(subject): number for subject, number in counts.items()}


def _held(tapes: Sequence[TapeInfo]) -> dict[str, int]:
    # How many events of each subject tapes hold, whatever range is chosen; where nobody has counted, there may be all.
    counts = dict.fromkeys(map(short_name, SUBJECTS), int(not all(info.contents for info in tapes)))
    counts[short_name(SUBJECTS[_RESET])] = 0
    for info in tapes:
        for subject, tally in (info.contents.get("by_subject") or {}).items():
            counts[short_name(subject)] = counts.get(short_name(subject), 0) + int(tally["events"])
    return counts
