"""The options of ``spyctl replay``, in groups."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from spyctl.bus.acks.mode import AckMode
from spyctl.bus.store_mode import StoreMode
from spyctl.cli.framework import complete
from spyctl.cli.framework.help_page import OPTIONS, OUTPUT
from spyctl.cli.nats_options import complete_runs
from spyctl.cli.options import DESTINATION, PLAYBACK, DataDir, Dataset, Json, Metrics, Schema, Symbol


class OrderKey(StrEnum):
    """Which of a record's times orders the events."""

    EVENT = "event"
    RECV = "recv"
    STORED = "stored"  # of a tape or a stream


class SessionKind(StrEnum):
    """Which hours of each day to play, New York."""

    ALL = "all"
    RTH = "rth"  # the regular session of stocks
    ETH = "eth"  # the trading day of futures


class SinkKind(StrEnum):
    """Where the events go."""

    NATS = "nats"
    STDOUT = "stdout"


@dataclass(frozen=True, slots=True, kw_only=True)
class InputOptions:
    """Which events of the data folder to replay."""

    date: Annotated[
        list[str] | None,
        typer.Option(
            "--date",
            envvar="REPLAY_DATE",
            metavar="DAY",
            help="UTC day: 2025-12-16, today, D..D, all, last.",
            autocompletion=complete.dates,
        ),
    ] = None
    trading_day: Annotated[
        str | None,
        typer.Option(
            "--trading-day",
            metavar="DAY",
            help="18:00 the previous evening to 17:00, New York.",
            autocompletion=complete.dates,
        ),
    ] = None
    start: Annotated[
        str | None,
        typer.Option(
            "--start",
            envvar="REPLAY_START",
            metavar="TIME",
            help="Start: 09:30, open, close-5m, ISO, ns.",
            autocompletion=complete.times,
        ),
    ] = None
    end: Annotated[
        str | None,
        typer.Option(
            "--end",
            envvar="REPLAY_END",
            metavar="TIME",
            help="End time (exclusive), on the last date.",
            autocompletion=complete.times,
        ),
    ] = None
    duration: Annotated[
        str | None,
        typer.Option(
            "--duration",
            metavar="TIME",
            help="Event time to play, instead of --end.",
            rich_help_panel=OPTIONS.seldom,
        ),
    ] = None
    session: Annotated[
        SessionKind,
        typer.Option(
            "--session",
            metavar="KIND",
            help="rth: open to close. eth: 18:00 to 17:00. all.",
            rich_help_panel=OPTIONS.seldom,
        ),
    ] = SessionKind.ALL
    tz: Annotated[
        str,
        typer.Option(
            "--tz",
            envvar="SPYCTL_TZ",
            metavar="ZONE",
            help="Zone for times without one.",
            rich_help_panel=OPTIONS.seldom,
        ),
    ] = "America/New_York"
    schema: Schema = None
    symbol: Symbol = None
    dataset: Dataset = None
    count: Annotated[int | None, typer.Option("--count", min=1, metavar="N", help="Stop after N events.")] = None
    data_dir: DataDir = Path("dbn-data")
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Stop at a damaged file instead of continuing.", rich_help_panel=OPTIONS.seldom),
    ] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOptions:
    """What to replay instead of files, and which part of it."""

    source: Annotated[
        str | None,
        typer.Option(
            "--source",
            metavar="WHAT",
            help="Instead of files: a tape, a folder, -, stream.",
        ),
    ] = None
    place: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="PLACE",
            help="With --source: a sequence, -5m, a stored time.",
            rich_help_panel=OPTIONS.seldom,
        ),
    ] = None
    subject: Annotated[
        list[str] | None,
        typer.Option(
            "--subject",
            metavar="NAME",
            help="With --source: stocks, options.trades, …",
            autocompletion=complete.subjects,
            rich_help_panel=OPTIONS.seldom,
        ),
    ] = None
    follow: Annotated[
        bool,
        typer.Option(
            "--follow", help="With --source stream: continue with what arrives.", rich_help_panel=OPTIONS.seldom
        ),
    ] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybackOptions:
    """How fast to play the events, and in which order."""

    speed: Annotated[
        str,
        typer.Option(
            "--speed",
            "-s",
            envvar="REPLAY_SPEED",
            metavar="X",
            help="1, 10x, 0.5; max: as acknowledged.",
            autocompletion=complete.speeds,
            rich_help_panel=PLAYBACK,
        ),
    ] = "1"
    max_quiet: Annotated[
        str,
        typer.Option(
            "--max-quiet",
            envvar="REPLAY_MAX_QUIET",
            metavar="TIME",
            help="Longest wait in a quiet stretch.",
            rich_help_panel=PLAYBACK.seldom,
        ),
    ] = "5s"
    order: Annotated[
        OrderKey,
        typer.Option(
            "--order",
            envvar="REPLAY_ORDER",
            metavar="KEY",
            help="event, recv, or stored (tapes).",
            rich_help_panel=PLAYBACK.seldom,
        ),
    ] = OrderKey.EVENT
    reorder_window: Annotated[
        str,
        typer.Option(
            "--reorder-window",
            envvar="REPLAY_WINDOW",
            metavar="TIME",
            help="ts_event to ts_recv, at most.",
            rich_help_panel=PLAYBACK.seldom,
        ),
    ] = "1s"
    resume: Annotated[
        str | None,
        typer.Option(
            "--resume",
            metavar="[RUN]",
            help="Continue RUN, or the newest run, where it ended.",
            autocompletion=complete_runs,
            rich_help_panel=PLAYBACK,
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlOptions:
    """How the replay begins, and how it can be controlled."""

    start_paused: Annotated[
        bool,
        typer.Option("--start-paused", help="Begin paused: space, or spyctl ctl resume.", rich_help_panel=PLAYBACK),
    ] = False
    loop: Annotated[
        int,
        typer.Option(
            "--loop", min=1, metavar="N", help="Play the whole range N times.", rich_help_panel=PLAYBACK.seldom
        ),
    ] = 1
    warm_up: Annotated[
        str | None,
        typer.Option(
            "--warm-up",
            metavar="TIME",
            help="Event time played at max before start and seeks.",
            rich_help_panel=PLAYBACK.seldom,
        ),
    ] = None
    wait_for: Annotated[
        str | None,
        typer.Option(
            "--wait-for",
            metavar="NAME[:N]",
            help="Hold while consumer NAME is over N (1000) behind.",
            rich_help_panel=PLAYBACK.seldom,
        ),
    ] = None
    no_keys: Annotated[
        bool, typer.Option("--no-keys", help="Read no keys from the terminal.", rich_help_panel=PLAYBACK.seldom)
    ] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryOptions:
    """Where the events go, and how they are acknowledged."""

    sink: Annotated[
        SinkKind,
        typer.Option("--sink", metavar="SINK", help="nats, or stdout for JSON lines.", rich_help_panel=DESTINATION),
    ] = SinkKind.NATS
    raw: Annotated[
        bool,
        typer.Option("--raw", help="With --sink stdout: the payloads alone.", rich_help_panel=DESTINATION.seldom),
    ] = False
    ack: Annotated[
        AckMode,
        typer.Option(
            "--ack",
            envvar="SPYCTL_ACK",
            metavar="HOW",
            help="auto, fast, or message (one by one).",
            rich_help_panel=DESTINATION.seldom,
        ),
    ] = AckMode.AUTO
    store_mode: Annotated[
        StoreMode,
        typer.Option(
            "--store-mode",
            metavar="MODE",
            help="With --prefix: safe, or fast (a killed server loses events).",
            rich_help_panel=DESTINATION.seldom,
        ),
    ] = StoreMode.SAFE
    force: Annotated[
        bool,
        typer.Option("--force", help="Publish even beside another run or source.", rich_help_panel=DESTINATION.seldom),
    ] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultOptions:
    """What to check and report."""

    verify: Annotated[
        bool, typer.Option("--verify", help="Read the events back and compare each one.", rich_help_panel=OUTPUT)
    ] = False
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and stop.", rich_help_panel=OUTPUT)] = False
    no_digest: Annotated[
        bool, typer.Option("--no-digest", help="Compute no digest of the payloads.", rich_help_panel=OUTPUT.seldom)
    ] = False
    metrics: Metrics = None
    as_json: Json = False
