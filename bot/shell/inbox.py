"""The inbox: facts that have arrived and that no step has seen yet.

Books, marks and funding estimates say what is true now, so only the latest of each matters: it takes the
place of the one before and stands where it arrived.  Everything else is an event and keeps its order.  A slow
engine therefore falls behind by one book and never by a queue of them.  Events are bounded: more of them than
the bound means that the engine has stopped keeping up, which is a bug to die of, because dropping one would
make the journal a lie.
"""

from __future__ import annotations

from bot.model.facts import AnyFact, BookSeen, FundingEstimated, MarkSeen

Key = tuple[type, str, bool, bool] | int
CONFLATED = (BookSeen, MarkSeen, FundingEstimated)


class InboxOverfull(Exception):
    """More events wait than the bound allows."""

    exit_code = 3


class Inbox:
    def __init__(self, capacity: int = 10_000) -> None:
        """``capacity`` bounds the events that wait; states that conflate are bounded by the instruments."""
        self._capacity = capacity
        self._waiting: dict[Key, AnyFact] = {}
        self._events = 0
        self.conflated = {kind.__name__: 0 for kind in CONFLATED}

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, fact: AnyFact) -> None:
        """Add a fact.  Raises `InboxOverfull` for an event beyond the bound."""
        kind = type(fact)
        key: Key
        if isinstance(fact, (BookSeen, FundingEstimated)):
            key = (kind, fact.instrument, False, False)
        elif isinstance(fact, MarkSeen):
            # a mark without an index does not replace one with it: streams may carry them apart
            key = (kind, fact.instrument, fact.mark is None, fact.index is None)
        else:
            if self._events >= self._capacity:
                raise InboxOverfull(
                    f"{self._events} facts wait for a step, the bound is {self._capacity}: "
                    f"the engine does not keep up; the next one was {kind.__name__}"
                )
            self._waiting[self._events] = fact
            self._events += 1
            return
        if self._waiting.pop(key, None) is not None:
            self.conflated[kind.__name__] += 1
        self._waiting[key] = fact

    def drain(self) -> tuple[AnyFact, ...]:
        """Everything that waits, in order; the inbox is empty after."""
        facts = tuple(self._waiting.values())
        self.clear()
        return facts

    def clear(self) -> None:
        """Forget what waits, as a crash does."""
        self._waiting.clear()
        self._events = 0
