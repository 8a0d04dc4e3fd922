"""A seed: a whole history of faults and kills, drawn once, so that it happens again in the very same way."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from spyctl.bus.acks.mode import AckMode
from tests.simulation.jetstream import Config
from tests.simulation.world import SECOND

MS = SECOND // 1_000
# Through these a run gets, or one that resumes it: at the end all of it is stored, and nobody says otherwise.
GENTLE = ("cut", "deaf", "swallow", "freeze", "kill", "second", "restart", "elect", "bucket")
# A process is stopped, or its line is, for longer than its lease lasts, and another one goes on with its run; or it
# sleeps for longer than the server remembers its ids. A line may be stopped just when a batch begins.
LONG = ("usurp", "stall", "suspend")
# Of these something may be lost; then somebody says so. What others add may hide a loss.
ROUGH = (("lose",), ("foreign", "same"), ("purge",))
_OLD = (2, 10)  # a server that knows neither batches nor fences


@dataclass(frozen=True)
class Fault:
    """What befalls whom and when: ``kind``, for how long, how many messages are meant; ``then`` is what comes of it."""

    at_ns: int
    kind: str
    for_ns: int = 0
    count: int = 0
    then: "Fault | None" = None  # so long after it

    def __str__(self) -> str:
        return f"{self.kind} for {self.for_ns / SECOND:.3f} s ({self.count})"


@dataclass(frozen=True)
class Seed:
    """What is drawn from a number: the server, the run, and the faults in their order."""

    number: int
    config: Config
    mode: AckMode
    events: int
    piece: int
    pause_ns: int
    delay_ns: int
    one_host: bool = False  # on which all processes are, or else each has its own
    faults: tuple[Fault, ...] = field(default_factory=tuple)

    @property
    def gentle(self) -> bool:
        """Whether nothing may be lost, nor come out of order."""
        kinds = {fault.kind for fault in self.faults}
        return not self.config.max_messages and not self.misses and kinds <= {*GENTLE, *LONG}

    @property
    def misses(self) -> bool:
        """Whether a stream that is away for a moment, unnoticed, may miss an event and store the next one."""
        return self.config.elsewhere and self.mode is AckMode.MESSAGE

    @property
    def hurries(self) -> bool:
        """Whether who is late makes up for it at once, without a turn for anybody else, as a paced replay does."""
        return self.number % 7 == 0

    @classmethod
    def of(cls, number: int) -> "Seed":
        """Draw a seed from its number."""
        rng = random.Random(number)
        mode = rng.choice((AckMode.FAST, AckMode.MESSAGE))
        replicas = rng.choice((1, 1, 3))
        events = rng.randint(8, 60 if mode is AckMode.MESSAGE and replicas > 1 else 160)
        config = Config(
            replicas=replicas,
            commit_ns=rng.randint(1, 10) * MS if replicas > 1 else 0,
            max_messages=events // 2 if rng.random() < 0.05 else 0,
            elsewhere=rng.random() < 0.25,
        )
        delay_ns = rng.choice((MS // 10, MS, 20 * MS, 300 * MS))
        pause_ns = rng.choice((0, MS, 50 * MS, 400 * MS))
        piece = rng.choice((1, 3, 10, 40))
        lasts_ns = SECOND // 2 + (events // piece) * pause_ns + 10 * delay_ns
        kinds = (*GENTLE, *rng.choice(ROUGH)) if rng.random() < 0.4 else GENTLE
        kinds = kinds if replicas > 1 else tuple(kind for kind in kinds if kind != "elect")
        faults = [_fault(rng, kinds, lasts_ns) for _ in range(rng.randint(1, 6))]
        if mode is AckMode.MESSAGE and rng.random() < 0.2:
            config = replace(config, version=_OLD, batched=False)
        if rng.random() < 0.25:
            # Without a fence ids are all that keeps out what comes late over a line that broke.
            config = replace(config, window_ns=(5 if config.version == _OLD else 2) * SECOND)
        if rng.random() < 0.2:
            rough = ["refill", *(kind for group in ROUGH for kind in group)]
            faults += [_fault(rng, rough, lasts_ns) for _ in range(rng.randint(1, 4))]
        if config.elsewhere and rng.random() < 0.3:
            # What was acknowledged is gone, and so is who could say so.
            at_ns = round(rng.random() * lasts_ns)
            faults.append(Fault(at_ns, "lose", rng.randint(1, 300) * MS, rng.randint(1, 12)))
            faults.append(Fault(at_ns + rng.randint(SECOND, 3 * SECOND), "kill", MS, 1))
        one_host = rng.random() < 0.5
        if rng.random() < (0.3 if config.version > _OLD else 0.6):
            # A fence stands as long as the stream holds its message, and old servers know none: then a line that brings
            # messages later than a lease lasts is more than anybody can stand.
            falls = config.max_messages or any(fault.kind in ("purge", "lose", "refill") for fault in faults)
            faults.append(_long(rng, lasts_ns, fenced=config.version > _OLD and not falls))
        faults.sort(key=lambda fault: fault.at_ns)
        return cls(number, config, mode, events, piece, pause_ns, delay_ns, one_host, tuple(faults))

    def __str__(self) -> str:
        return (
            f"seed {self.number}: {self.events} events, {self.piece} at a time, {self.pause_ns / SECOND:g} s between, "
            f"{self.mode}, {self.config.replicas} replicas, {self.delay_ns / SECOND:g} s away, "
            f"{'one host' if self.one_host else 'hosts'}"
            + (", connected elsewhere" if self.config.elsewhere else "")
            + f", ids for {self.config.window_ns // SECOND} s"
            + (f", at most {self.config.max_messages} messages" if self.config.max_messages else "")
        )


def _long(rng: random.Random, lasts_ns: int, *, fenced: bool) -> Fault:
    kind = rng.choice(LONG if fenced else ("usurp", "suspend"))
    # A kernel goes on trying for long; a server remembers ids for 120 s.
    least_s, most_s = {"usurp": (11, 40 if fenced else 200), "stall": (11, 30), "suspend": (100, 200)}[kind]
    for_ns = rng.randint(least_s * SECOND, most_s * SECOND)
    fault = Fault(round(rng.random() * lasts_ns), kind, for_ns, rng.randint(0, 12))
    if kind == "stall" and rng.random() < 0.6:
        # What its line holds comes though the connection, or the process, is gone.
        then = Fault(
            round(rng.random() ** 2 * 10 * SECOND), rng.choice(("cut", "kill")), round(rng.random() * SECOND), 1
        )
        fault = replace(fault, then=then)
    return fault


def _fault(rng: random.Random, kinds: Sequence[str], lasts_ns: int) -> Fault:
    kind = rng.choice(kinds)
    longest = {"freeze": 40, "restart": 8, "lose": 8, "elect": 6, "deaf": 15, "bucket": 20}.get(kind, 4)
    for_ns = round(rng.random() ** 2 * longest * SECOND) + MS
    if kind == "cut" and rng.random() < 0.1:
        for_ns += 14 * SECOND  # another process may take the leases meanwhile
    return Fault(round(rng.random() * 1.5 * lasts_ns), kind, for_ns, rng.randint(1, 12))
