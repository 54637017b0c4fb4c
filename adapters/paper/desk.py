"""What every part of the simulated venue works with: its clock, agenda, prices, wallets and postings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from adapters.paper.agenda import Agenda, VenueClock
from adapters.paper.posting import Postings
from adapters.paper.references import Assumptions, References
from adapters.paper.wallets import Wallets
from bot.model.ids import InstrumentId
from bot.model.instrument import Instrument


class Desk(NamedTuple):
    instruments: Mapping[InstrumentId, Instrument]
    clock: VenueClock
    agenda: Agenda
    assumptions: Assumptions
    references: References
    wallets: Wallets
    postings: Postings
