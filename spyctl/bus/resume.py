"""Which run may be resumed: one that ended before its end, and whose events would be the very same."""

from typing import Any

from spyctl.bus.checkpoint import LAST_RUN
from spyctl.bus.leases import read_lease
from spyctl.bus.runs import RunRecord, Runs, RunState
from spyctl.errors import NoRunError, OtherRunError, ResumeError, RunCompleteError
from spyctl.timing.instants import MAX_INSTANT, utc_text


async def run_to_resume(runs: Runs, asked: str, now: RunRecord) -> RunRecord:
    """Return the record of the run that is to go on: the one asked for, or with ``LAST_RUN`` the newest.

    ``now`` describes the run as it would be without resuming. Raises :class:`ResumeError` where there is no such run
    and where files, options or stream have changed since, and :class:`RunCompleteError` where it is complete: of a run
    that is named, whatever else is asked for.
    """
    record = await (runs.newest(now.command, now.stream) if asked == LAST_RUN else runs.find(asked))
    if record is None:
        raise NoRunError(now.stream, asked if asked != LAST_RUN else "")
    if asked != LAST_RUN and record.state is RunState.COMPLETE:
        raise RunCompleteError(record.run_id, record.position)
    for what, former, present in (
        ("files", record.inputs, now.inputs),
        ("options", record.options, now.options),
        ("stream", [record.stream, record.subjects], [now.stream, now.subjects]),
    ):
        if former != present:
            ended = "is complete, and " if record.state is RunState.COMPLETE else ""
            raise OtherRunError(f"run {record.run_id} {ended}had other {what}: {_difference(former, present)}")
    if record.state is RunState.COMPLETE:  # of the very events that are asked for
        raise RunCompleteError(record.run_id, record.position)
    return record


async def refuse_uncounted(runs: Runs, record: RunRecord) -> None:
    """Refuse a run of which it was not counted what is stored before another one published.

    Raises :class:`ResumeError`. A run is normally counted when its leases pass to another; one that was overtaken by
    force counts itself, unless it is killed or cut off before it can. Where it was noted behind which sequence it has
    nothing, that can still be done.
    """
    if record.settled or record.checkpoint is None:  # known, or it never sent anything
        return
    if record.batch is not None and record.batch.ends_seq is not None:
        return
    for subject in record.subjects:
        lease, _ = await read_lease(runs.bucket, subject)
        if lease is not None and lease.run_id != record.run_id:
            why = f"run {lease.run_id} published before it was counted what is stored of this one"
            raise ResumeError(f"run {record.run_id} cannot be continued: {why}")


def _difference(former: Any, present: Any) -> str:
    if isinstance(former, dict):
        key = next(key for key in present if former.get(key) != present[key])
        return f"{key.removesuffix('_ns')} was {_option(key, former.get(key))}, is {_option(key, present[key])}"
    if list(map(_name, former)) != list(map(_name, present)):
        return f"{len(former)} then, {len(present)} now, or other names"
    return next(f"{old['path']} has changed" for old, new in zip(former, present, strict=True) if old != new)


def _option(key: str, value: Any) -> str:
    # The ends of a range as times; what does not end anything is none.
    if key in ("start_ns", "end_ns") and isinstance(value, int):
        return utc_text(value) if 0 < value < MAX_INSTANT else "none"
    return "none" if value is None else str(value)


def _name(entry: Any) -> Any:
    return entry.get("path") if isinstance(entry, dict) else entry
