"""What an account may store, and what its user may publish, as the server tells; nothing is tried out."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Self

from spyctl.bus.answers import fits
from spyctl.bus.connection import Connection
from spyctl.bus.contents import stream_info
from spyctl.bus.stream import captures
from spyctl.errors import AccessDeniedError, SpyctlError

_RIGHTS = {"publish?": {"allow?": [str], "deny?": [str]}}


@dataclass(frozen=True, slots=True)
class Account:
    """The limits that hold for a stream of so many replicas; ``None`` where there is no limit.

    ``free`` is how many bytes may still be stored, ``streams`` how many streams may still be made. ``tier`` names the
    limits where an account has several, ``missing_tier`` those that it has where ours is not among them.
    """

    free: int | None
    streams: int | None
    max_bytes_required: bool = False
    tier: str = ""
    missing_tier: str = ""

    @classmethod
    def of(cls, info: dict[str, Any], replicas: int = 1) -> Self:
        """Read JetStream's answer to ``INFO``; streams that we make have one replica."""
        ours = f"R{replicas}"
        tiers = {name: tier for name, tier in (info.get("tiers") or {}).items() if isinstance(tier, dict)}
        if tiers and ours not in tiers:
            return cls(0, 0, tier=ours, missing_tier=", ".join(sorted(tiers)))
        usage = tiers.get(ours, info)
        limits = usage.get("limits") or {}
        return cls(
            free=_left(limits.get("max_storage"), usage.get("storage")),
            streams=_left(limits.get("max_streams") or None, usage.get("streams")),
            max_bytes_required=limits.get("max_bytes_required") is True,
            tier=ours if tiers else "",
        )

    def shortage(self, new_streams: Collection[str]) -> str:
        """Say why some streams could not be made, or nothing stored; empty where nothing speaks against it."""
        of_tier = f" in tier {self.tier}" if self.tier else ""
        if self.missing_tier:
            return f"the account has limits for {self.missing_tier} alone; the stream needs {self.tier}"
        if self.free == 0:
            return f"the account may store nothing more on disk{of_tier}"
        if new_streams and self.max_bytes_required:
            return f"the account asks for max_bytes of a stream, so {' and '.join(new_streams)} cannot be made"
        if self.streams is not None and self.streams < len(new_streams):
            needed = " and ".join(new_streams)
            return f"the account has room for {self.streams:,} of the streams {needed}{of_tier}"
        return ""


async def account_of(connection: Connection, stream: str) -> Account:
    """Return the limits that hold for a stream, which may be there already, with more replicas than we give it.

    Raises :class:`BusError`, and :class:`ApiError` where the server does not tell.
    """
    info = await stream_info(connection, stream)
    replicas = int(info["config"].get("num_replicas") or 1) if info is not None else 1
    return Account.of(await connection.jetstream_info(), replicas)


def _left(limit: object, used: object) -> int | None:
    if not isinstance(limit, int) or limit < 0:
        return None
    return max(0, limit - (used if isinstance(used, int) else 0))


async def not_permitted(connection: Connection, subjects: Sequence[str]) -> list[str] | None:
    """Return which subjects our user may not publish to; ``None`` where the server does not tell."""
    try:
        answer = await connection.ask("$SYS.REQ.USER.INFO")
    except AccessDeniedError:
        return None
    except SpyctlError:
        return []  # an older server; a run will tell
    data = answer.get("data")
    rights = data.get("permissions") if isinstance(data, dict) else None
    if rights is None or not fits(rights, _RIGHTS):
        return []
    publish = rights.get("publish") or {}
    allow, deny = publish.get("allow") or [">"], publish.get("deny") or []
    return [subject for subject in subjects if not captures(allow, subject) or captures(deny, subject)]
