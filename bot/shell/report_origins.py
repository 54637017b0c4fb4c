"""Who brings each type of fact, and which facts can move a position."""

from __future__ import annotations

from bot.model import facts

ORIGIN: dict[type[facts.Fact], str] = {
    facts.Booted: "run",
    facts.FeedEnded: "run",
    facts.ModeOrdered: "operator",
    facts.Tick: "clock",
    facts.InstrumentListed: "market",
    facts.BookSeen: "market",
    facts.BookGapped: "market",
    facts.MarkSeen: "market",
    facts.FundingEstimated: "market",
    facts.FundingSettled: "market",
    facts.RateSeen: "market",
    facts.ProtocolDrift: "market",
    facts.ChannelLost: "venue",
    facts.ChannelOpened: "venue",
    facts.OrderAccepted: "venue",
    facts.OrderRejected: "venue",
    facts.OrderFilled: "venue",
    facts.ForcedFilled: "venue",
    facts.OrderCanceled: "venue",
    facts.OrderExpired: "venue",
    facts.CancelRejected: "venue",
    facts.OrderUncertain: "venue",
    facts.OrderReported: "venue",
    facts.OrderNotFound: "venue",
    facts.AccountReported: "venue",
    facts.BalanceSeen: "venue",
    facts.PositionSeen: "venue",
    facts.FundingPaid: "venue",
    facts.InterestCharged: "venue",
    facts.Transferred: "venue",
    facts.InsuranceCharged: "venue",
    facts.MarginCalled: "venue",
    facts.HistoryGapped: "venue",
    facts.VenueReset: "venue",
    facts.AccountTouched: "venue",
    facts.ContractSet: "venue",
    facts.AccountSet: "venue",
    facts.FeeAssetSet: "venue",
    facts.Throttled: "venue",
    facts.InstrumentStatusSeen: "venue",
    facts.AdoptionOrdered: "operator",
    facts.ResidualSettled: "operator",
    facts.StopOrdered: "operator",
    facts.Stopped: "operator",
    facts.SettingsChanged: "operator",
}

POSITION_MOVERS: frozenset[type[facts.Fact]] = frozenset(
    {
        facts.Booted,
        facts.OrderFilled,
        facts.ForcedFilled,
        facts.FundingPaid,
        facts.AccountReported,
        facts.VenueReset,
    }
)
