"""Where a feed stands in what the gateway sends, so that another session goes on exactly there.

By schema and instrument: the newest ``ts_event``, and how many records bore it. Asked for everything from the lowest of
them on, a gateway sends again what we have; that is told by these counts, as the vendor describes it:
https://databento.com/docs/api-reference-live/basics/recovering-after-a-disconnection.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from spyctl.dbn.records import Records
from spyctl.timing.instants import SECOND

LOOK_BACK_NS = 60 * SECOND  # records come in the order of time, give or take much less than that
Key = tuple[str, int]  # schema, instrument id


@dataclass(slots=True)
class Place:
    """The newest ``ts_event`` (Unix ns), and how many records bore it."""

    ts_event_ns: int
    count: int


class Places:
    """The places of all instruments; :meth:`new` tells which of some records we have not had.

    ``short`` counts those that we had and that did not come again in this session, though later ones did.
    """

    def __init__(self) -> None:
        self.short = 0
        self._places: dict[Key, Place] = {}
        self._awaited: dict[Key, Place] = {}  # what a replay has still to bring again before there is news

    @property
    def newest_ns(self) -> int | None:
        """The newest ``ts_event`` (Unix ns), ``None`` before there is any."""
        return max((place.ts_event_ns for place in self._places.values()), default=None)

    def resume_ns(self, schemas: Collection[str], began_ns: int) -> int:
        """Return from when on (Unix ns) everything of some schemas is to be sent again; ``began_ns`` is when we began.

        That is the lowest of the newest ``ts_event``. What has been quiet for long says nothing about the others.
        """
        newest: dict[str, list[int]] = {schema: [] for schema in schemas}
        for (schema, _), place in self._places.items():
            newest[schema].append(place.ts_event_ns)
        lowest_ns = min(min(times, default=began_ns) for times in newest.values())
        return max(lowest_ns, self.newest_ns - LOOK_BACK_NS) if self.newest_ns is not None else lowest_ns

    def begin(self, start_ns: int | None) -> None:
        """Note that a session begins, which sends again all from an instant on (Unix ns; ``None``: nothing)."""
        self.short = 0
        self._awaited = {
            key: replace(place)
            for key, place in self._places.items()
            if start_ns is not None and place.ts_event_ns >= start_ns
        }

    @property
    def outstanding(self) -> int:
        """How many records that we had have still to come again."""
        return sum(place.count for place in self._awaited.values())

    def new(self, schema: str, records: Records) -> NDArray[np.bool_]:
        """Return which of the next records of a schema, of which there is one at least, we have not had."""
        ids, times = records["instrument_id"], records["ts_event"].view("i8")
        new = np.ones(len(records), bool)
        for instrument in [int(ids[0])] if (ids == ids[0]).all() else np.unique(ids).tolist():
            mine = np.flatnonzero(ids == instrument)
            key = schema, instrument
            if key in self._awaited:
                new[mine] = self._not_awaited(key, times[mine])
                mine = mine[new[mine]]
            if len(mine):
                self._advance(key, times[mine])
        return new

    def _not_awaited(self, key: Key, times: NDArray[np.int64]) -> NDArray[np.bool_]:
        place = self._awaited[key]
        same = np.flatnonzero(times == place.ts_event_ns)[: place.count]
        later = np.flatnonzero(times > place.ts_event_ns)
        place.count -= len(same)
        end = len(times)  # behind it everything is new, even where its time is earlier
        if not place.count or len(later):
            end = int(same[-1]) + 1 if not place.count else int(later[0])
            self.short += self._awaited.pop(key).count
        return (times > place.ts_event_ns) | (np.arange(len(times)) >= end)

    def _advance(self, key: Key, times: NDArray[np.int64]) -> None:
        newest = int(times.max())
        count = int((times == newest).sum())
        place = self._places.get(key)
        if place is None or newest > place.ts_event_ns:
            self._places[key] = Place(newest, count)
        elif newest == place.ts_event_ns:
            place.count += count
