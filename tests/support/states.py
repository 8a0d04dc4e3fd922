"""Draws the state machines of the program, read off their tables, as ``docs/states.md``."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from inspect import getdoc
from types import ModuleType

from spyctl.bus import leases
from spyctl.bus.acks import fast_ingest
from spyctl.live import gaps
from spyctl.market import feeds
from spyctl.replay import control

HEAD = """\
# State machines

Made by `make docs` from the tables of transitions in the program; a test keeps the two equal. The program moves by
these tables alone: a move that is not drawn here cannot happen.
"""


@dataclass(frozen=True)
class Machine:
    """A table of transitions, the module that holds it with the theory, and the state it begins in."""

    title: str
    module: ModuleType
    start: StrEnum

    @property
    def transitions(self) -> Mapping[tuple[StrEnum, StrEnum], StrEnum]:
        return self.module.TRANSITIONS  # type: ignore[no-any-return]


MACHINES = (
    Machine("A batch of fast ingest", fast_ingest, fast_ingest.BatchState.NEW),
    Machine("A live feed", feeds, feeds.FeedState.CONNECTING),
    Machine("A lease on a subject", leases, leases.LeaseState.FREE),
    Machine("A gap of a feed", gaps, gaps.GapState.CLOSED),
    Machine("A replay under control", control, control.PlayState.PLAYING),
)


def page() -> str:
    """Return the text of ``docs/states.md``."""
    return "\n".join([HEAD, *map(_section, MACHINES)])


def _section(machine: Machine) -> str:
    theory = (getdoc(machine.module) or "").replace(":data:`TRANSITIONS`", "The table").replace("``", "`")
    ids = {state: state.name.lower() for state in type(machine.start)}
    lines = [f'    state "{state.value}" as {name}' for state, name in ids.items() if state.value != name]
    lines.append(f"    [*] --> {ids[machine.start]}")
    lines += [f"    {ids[a]} --> {ids[b]}: {event.value}" for (a, event), b in machine.transitions.items()]
    left = {state for state, _ in machine.transitions}
    ends = [state for state in ids if state not in left]
    lines += [f"    {ids[state]} --> [*]" for state in ends]
    rows = "\n".join(f"| {a.value} | {event.value} | {b.value} |" for (a, event), b in machine.transitions.items())
    chart = "\n".join(["```mermaid", "stateDiagram-v2", *lines, "```"])
    table = f"| in state | on | goes to |\n|---|---|---|\n{rows}"
    return f"## {machine.title}\n\n{theory}\n\nFrom `{machine.module.__name__}`:\n\n{chart}\n\n{table}\n"
