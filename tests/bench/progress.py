"""What a long run says while it runs."""

import gc
import time


class Progress:
    """Prints one line per step, with how long the rest will take if it goes on like this."""

    def __init__(self, expected_s: float) -> None:
        self._expected_s = expected_s
        self._done_s = 0.0
        self._began = time.monotonic()
        self._step = self._began
        print(f"this takes about {_text(expected_s)}", flush=True)

    def done(self, expected_s: float, text: str) -> None:
        """Tell of a step that was expected to take so long."""
        # The collector is off while something is measured (see __main__): here is where it may run.
        gc.collect()
        now = time.monotonic()
        self._done_s += expected_s
        pace = (now - self._began) / self._done_s
        left_s = max(self._expected_s - self._done_s, 0.0) * pace
        share = min(self._done_s / self._expected_s, 1.0)
        print(f"{share:4.0%}  {_text(left_s):>9} left  {text}  [{now - self._step:.0f} s]", flush=True)
        self._step = now


def _text(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{max(minutes, 1)} min"
