"""A stored message as one line for a person, and which messages are wanted."""

import re
from dataclasses import dataclass
from datetime import date

from spyctl.errors import PayloadError, UsageError
from spyctl.market.events import (
    MBP10,
    Aggressor,
    Event,
    FuturesTrade,
    Gap,
    OptionQuote,
    OptionTrade,
    Reset,
    StockQuote,
    StockTrade,
)
from spyctl.market.lines import StreamMessage
from spyctl.market.subjects import KINDS, decode, with_prefix
from spyctl.terminal.boxes import bar_left, bar_right
from spyctl.terminal.outgoing import Mark, safe_line
from spyctl.terminal.text import count, marked
from spyctl.timing.instants import MAX_INSTANT, NEW_YORK, SECOND, clock_text

HEADING = "      seq New York     subject        event"
_CELLS = 4
_MOST_WORDS = 200  # of what is wrong with a message, which may quote it
_SIZE, _SIDED = 4, 11
_COLOURS = (
    (re.compile("▲ buy|[▐█]+(?=│)"), Mark.GREEN),
    (re.compile("▼ sell|(?<=│)[█▉▊▋▌▍▎▏]+|: open .*"), Mark.RED),
    (re.compile("^! .*|: closed$"), Mark.YELLOW),
)
SIDES = {Aggressor.BUY: " ▲ buy", Aggressor.SELL: " ▼ sell", Aggressor.MID: ""}


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events to show: of some subjects, of a symbol, with ``start_ns <= ts_event_ns < end_ns``."""

    subjects: frozenset[str]
    symbol: str | None = None
    start_ns: int = 0
    end_ns: int = MAX_INSTANT

    @property
    def looks_inside(self) -> bool:
        """Whether the payload decides too."""
        return self.symbol is not None or self.start_ns > 0 or self.end_ns < MAX_INSTANT

    @property
    def what(self) -> str:
        """The subjects in words: ``events`` where all are wanted, else ``gaps``, ``futures.mbp10, futures.trades``."""
        if len(self.subjects) == len(KINDS):
            return "events"
        return ", ".join(sorted(subject.partition("market.")[2] for subject in self.subjects))

    def matches(self, event: dict[str, object]) -> bool:
        """Tell whether a decoded payload is of the symbol and the time."""
        if self.symbol is not None and self.symbol not in (
            event.get("symbol"), event.get("underlying"), event.get("option_symbol"),
        ):  # fmt: skip
            return False
        ts_event_ns = event.get("ts_event_ns")
        return isinstance(ts_event_ns, int) and self.start_ns <= ts_event_ns < self.end_ns


def subjects_of(names: list[str], prefix: str = "") -> list[str]:
    """Return the subjects that names such as ``futures``, ``options.trades``, ``gaps`` mean; no name means all.

    Raises :class:`UsageError` for a name that means none.
    """
    known = [kind.subject for kind in KINDS]
    subjects: dict[str, None] = {}  # in order, each once
    for name in names or [""]:
        short = name.removeprefix("market.").removesuffix(".*").removesuffix(".>")
        matching = [
            subject for subject in known if short in ("", subject.removeprefix("market."), subject.split(".")[1])
        ]
        if not matching:
            choices = ", ".join(subject.removeprefix("market.") for subject in known)
            raise UsageError(f"there is no subject {name!r}", f"one of {choices}, or stocks, options, futures")
        subjects |= dict.fromkeys(matching)
    return [with_prefix(subject, prefix) for subject in subjects]


class TextLines:
    """Aligned lines for a person; the bars of sizes share a scale for each subject.

    With ``colour`` sides, bars, gaps and what cannot be read stand out.
    """

    def __init__(self, *, colour: bool = False) -> None:
        self._colour = colour
        self._largest: dict[str, int] = {}
        self.undecoded = 0

    def line(self, message: StreamMessage) -> str:
        """Write a message as a line."""
        short = message.subject.partition("market.")[2]
        try:
            event = decode(message.subject, message.payload)
            ns, text = event.ts_event_ns, self._text(event, short)
        except PayloadError as error:
            self.undecoded += 1
            ns, text = message.stored_ns, f"! {error.message[:_MOST_WORDS]}"
        if not self._colour:
            return f"{message.seq:>9,} {clock_text(ns, NEW_YORK)} {short:<14} {text}"
        when, shown = marked(Mark.DIM, clock_text(ns, NEW_YORK)), _coloured(safe_line(text))
        return f"{message.seq:>9,} {when} {safe_line(short):<14} {shown}"

    def _text(self, event: Event, subject: str) -> str:
        match event:
            case FuturesTrade():
                return f"{event.symbol} {event.price:,.2f} × {_sided(event)}"
            case MBP10():
                best = event.levels[0]
                bid, ask = (f"{px:,.2f}" if px is not None else "·" for px in (best.bid_px, best.ask_px))
                bars = self._bars(subject, best.bid_sz, best.ask_sz)
                return f"{event.symbol} {bid} × {best.bid_sz:<3} {bars} {best.ask_sz:>3} × {ask}"
            case StockTrade():
                return f"{event.symbol:<5} {event.price:,.2f} × {event.size:,}"
            case StockQuote():
                bars = self._bars(subject, event.bid_sz, event.ask_sz)
                sizes = f"{event.bid_sz:<6,} {bars} {event.ask_sz:>6,}"
                return f"{event.symbol:<5} {event.bid_px:,.2f} × {sizes} × {event.ask_px:,.2f}"
            case OptionTrade():
                quote = ""
                if event.opt_bid is not None and event.opt_ask is not None:
                    quote = f"{event.opt_bid:,.2f} × {event.opt_ask:,.2f}"
                return f"{_contract(event)} {event.price:>8,.2f} × {_sided(event):<{_SIDED}} {quote}".rstrip()
            case OptionQuote():
                bars = self._bars(subject, event.bid_sz, event.ask_sz)
                sizes = f"{event.bid_sz:<5,} {bars} {event.ask_sz:>5,}"
                return f"{_contract(event)} {event.bid_px:>8,.2f} × {sizes} × {event.ask_px:,.2f}"
            case Gap():
                if event.to_ns is None:
                    return f"{event.feed} missing from now on: open ({event.reason})"
                lost = f", {count('events', event.events)}" if event.events is not None else ""
                return f"{event.feed} {(event.to_ns - event.from_ns) / SECOND:.3f} s missing{lost}: closed"
            case Reset():
                from_text, to_text = (clock_text(ns, NEW_YORK) for ns in (event.from_ns, event.to_ns))
                return f"{event.reason} from {from_text} to {to_text}, segment {event.segment} of run {event.run_id}"

    def _bars(self, subject: str, bid: int, ask: int) -> str:
        largest = self._largest[subject] = max(1, bid, ask, self._largest.get(subject, 1))
        return f"{bar_left(bid, largest, _CELLS)}│{bar_right(ask, largest, _CELLS)}"


def _sided(event: FuturesTrade | OptionTrade) -> str:
    return f"{event.size:<{_SIZE},}{SIDES[event.aggressor]}".rstrip()


def _coloured(text: str) -> str:
    for pattern, mark in _COLOURS:
        text = pattern.sub(rf"{mark}\g<0>{Mark.END}", text)
    return text


def _contract(event: OptionTrade | OptionQuote) -> str:
    return f"{event.underlying} {day_text(event.exp_date)} {event.strike:g} {event.right}"


def day_text(iso: str) -> str:
    """Write an ISO date as ``16 Dec``. Raises :class:`PayloadError` for anything else."""
    months = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    try:
        day = date.fromisoformat(iso)
    except ValueError:
        raise PayloadError(f"{iso[:40]!r} is not a date") from None
    return f"{day.day} {months[day.month - 1]}"
