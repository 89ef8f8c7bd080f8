"""What the rig tells: each step with its time, each check with what it holds."""

import sys
import time


class Failed(Exception):
    """Something doesn't hold."""


class Step:
    """A part of the run, timed."""

    def __init__(self, name: str):
        self.name = name

    def __enter__(self):
        self.began = time.monotonic()
        print(f"\n-- {self.name}", flush=True)
        return self

    def __exit__(self, kind, *_):
        word = "took" if kind is None else "FAILED after"
        print(f"   {word} {time.monotonic() - self.began:.1f} s", flush=True)


def note(text: str):
    """Tells something worth knowing."""
    print(f"   {text}", flush=True)


def check(holds: bool, what: str, seen: object = None):
    """Tells what holds; ends the run where it doesn't, with what was seen instead."""
    if not holds:
        raise Failed(f"{what}: {seen!r}" if seen is not None else what)
    print(f"   ok  {what}", flush=True)


def within(seconds: float, what: str, look, pause: float = 0.25):
    """What `look` answers as soon as it is something; a failure after so many seconds. Errors of the last look are told."""
    ends = time.monotonic() + seconds
    while True:
        seen = look()
        if seen:
            return seen
        if time.monotonic() > ends:
            raise Failed(f"not within {seconds:g} s: {what}")
        time.sleep(pause)


def complain(text: str):
    """Tells why the run failed."""
    print(f"\n{text}", file=sys.stderr, flush=True)
