"""What adapters raise, each a sentence that a person can act on."""

from __future__ import annotations


class FeedError(Exception):
    """An input of a replay cannot be used: which file and line, what is wrong with it, what to do."""

    exit_code = 4


class FrameError(Exception):
    """A frame is not JSON.  The message says what is wrong with it; who knows file and line adds them."""
