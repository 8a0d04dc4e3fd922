"""For how long nothing has been acknowledged, and what the server says of it when it is asked."""

from spyctl.bus.connection import ApiError, Connection
from spyctl.bus.contents import stream_info
from spyctl.bus.in_flight import InFlight
from spyctl.errors import BusError
from spyctl.timing.instants import SECOND

_HINDERS_S = 3.0


def no_answer(connection: Connection) -> str:
    """Say that a server answers nothing."""
    return f"{connection.url} is connected and answers nothing"


class Silence:
    """The silence of the server about what is in flight; time in which this process slept is none."""

    def __init__(self, in_flight: InFlight) -> None:
        self._in_flight = in_flight
        self.attempt_ns = 0  # when it was last tried anew
        self._awake_ns = 0
        self._why = (0, "")  # when an event had been acknowledged last, and what the server said then

    @property
    def hinders(self) -> bool:
        """Whether it lasts for some seconds, so that somebody should hear of it."""
        return self.longer_than(_HINDERS_S, since_attempt=False)

    @property
    def why(self) -> str:
        """What the server said in this silence when it was asked, nothing where it was not asked yet."""
        progress_ns, why = self._why
        return why if progress_ns == self._in_flight.progress_ns else ""

    async def ask(self, connection: Connection, stream: str) -> None:
        """Ask the server for a stream, where the silence hinders, and note what that says of it.

        A server whose disk is full answers every question, and no message.
        """
        if not self.hinders:
            return
        progress_ns = self._in_flight.progress_ns
        try:
            info = await stream_info(connection, stream)
        except ApiError as error:
            why = f"{connection.url} says of stream {stream}: {error.description}"
        except BusError:
            why = no_answer(connection)
        else:
            stores_nothing = f"{connection.url} answers, and stores nothing: its disk may be full; its log says more"
            why = stores_nothing if info is not None else f"stream {stream} was deleted"
        self._why = progress_ns, why

    def attempt(self) -> None:
        """Note that it is tried anew."""
        self.attempt_ns = self._in_flight.clock.now_ns()

    def slept(self) -> None:
        """Note that this process did not run until now."""
        self._awake_ns = self._in_flight.clock.now_ns()

    def longer_than(self, limit_s: float, *, since_attempt: bool = True) -> bool:
        """Tell whether the oldest event has waited that long, while nothing moved or later ones passed it."""
        oldest_ns = self._in_flight.oldest_ns
        if oldest_ns is None:
            return False
        since = max(oldest_ns, self._awake_ns, self.attempt_ns if since_attempt else 0)
        if not (since_attempt and self._in_flight.has_hole):
            since = max(since, self._in_flight.progress_ns)
        return self._in_flight.clock.now_ns() - since > limit_s * SECOND
