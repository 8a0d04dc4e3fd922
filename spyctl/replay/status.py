"""How a replay stands, for whoever controls it from elsewhere, and what its clock says."""

from typing import Any

from spyctl.replay.control import PlayState
from spyctl.replay.director import Director
from spyctl.replay.pacing import Pacer
from spyctl.replay.track import Track
from spyctl.timing.instants import SECOND, utc_text


def clock_of(run_id: str, state: PlayState, director: Director, pacer: Pacer, track: Track) -> dict[str, Any]:
    """Return what the clock of a replay says: event time (Unix ns, that of the last event), speed, state, segment."""
    return {
        "run_id": run_id,
        "event_ns": director.event_ns,
        "speed": pacer.speed.number,
        "state": state,
        "segment": track.current.segment.number,
    }


def status_of(
    run_id: str, state: PlayState, waiting_for: str, director: Director, pacer: Pacer, track: Track
) -> dict[str, Any]:
    """Return the state of a replay: its clock, and what it has done."""
    ways = director.ways
    return {
        **clock_of(run_id, state, director, pacer, track),
        "event_utc": utc_text(director.event_ns),
        "speed_achieved": pacer.achieved(),
        "behind_s": pacer.pace.behind_ns / SECOND,
        "waiting_for": waiting_for or None,
        "searched": director.finder.searched,
        "published": track.published,
        "acked": track.acked,
        "seeks": director.seeks,
        "seeds": track.seeds,
        "first_ns": director.span.first_ns,
        "last_ns": director.span.last_ns,
        "marks": dict(sorted(ways.marks.items(), key=lambda mark: mark[1])),
        "loop": {"from_ns": ways.loop[0], "to_ns": ways.loop[1]} if ways.loop is not None else None,
    }
