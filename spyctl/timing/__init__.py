"""Time: instants, clocks, durations, and the tasks that wait for them."""
