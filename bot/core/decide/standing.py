"""What an idle code means once it lasts: from these a pair gets out only with help, and a person is told."""

from __future__ import annotations

from msgspec import Struct


class Standing(Struct, frozen=True):
    """What a pair's idle code means when it lasts: ``what`` follows the pair's name, ``remedy`` says what to
    do.  ``without_position``: it is told of a pair that holds nothing too."""

    severity: str
    what: str
    remedy: str
    without_position: bool = False


# Idle codes that stand as alerts once the pair's patience is over: from these a pair gets out only with help.
STANDING: dict[str, Standing] = {
    "venue_down": Standing(
        "critical",
        "cannot trade because a book, a channel or the venue is down",
        "look at the network and the venue's status; it trades by itself when they are back",
    ),
    "beyond_exit_collar": Standing(
        "critical",
        "cannot leave because the price is beyond the widest exit collar",
        "wait for the price, raise BASISBOT_EXIT__COLLAR_MAX_BPS, or close both legs at the venue",
    ),
    "fuse_room": Standing(
        "critical",
        "must trade and the fuse's minute is spent",
        "it goes on within a minute; if it stands often, raise the limits of BASISBOT_FUSE__",
    ),
    "stranded": Standing(
        "critical",
        "holds what the venue does not let it trade, more than dust",
        "close it at the venue by other means, then adopt the account",
    ),
    "not_held": Standing(
        "critical",
        "does not hold at the venue what the ledger expects",
        "find out who moved it and bring it back, or adopt the account",
    ),
    "not_trading": Standing(
        "critical",
        "has an instrument that does not trade",
        "read the venue's notices; flatten while the other leg trades",
    ),
    "restricted": Standing(
        "critical",
        "is refused what would hedge it, and nothing is left that could be reduced instead",
        "read the venue's words and ask it what the account may do; close by hand what it lets you close",
    ),
    "unanswered": Standing(
        "critical",
        "has an order that nobody vouches for",
        "look the order up at the venue; it is asked for until the venue answers",
        without_position=True,
    ),
    "halted": Standing(
        "critical",
        "is halted and would trade otherwise",
        "resume the pair, or close it at the venue",
    ),
}

# idle codes between attempts
UNDER_WAY = ("trading", "in_flight", "repair_pause", "clip_interval", "settling")
