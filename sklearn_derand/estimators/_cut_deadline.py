"""A time limit that travels to other processes."""

import time


class Deadline:
    """A moment; calling it gives the seconds until then.

    Parameters
    ----------
    seconds : float
        From now.
    """

    clock = time.monotonic
    """Wall-clock time, the same in all processes of a machine. A benchmark on a loaded machine puts CPU time here."""

    def __init__(self, seconds):
        self.ends = self.clock() + seconds

    def __call__(self):
        return self.ends - self.clock()

    def within(self, seconds):
        """Return the deadline in so many seconds, or this one if it is earlier."""
        return Deadline(min(self(), seconds))
