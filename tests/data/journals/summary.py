"""What a journal comes to, in words that no version of the program changes: the store, as JSON.

It names nothing that versions 0.1.0 and later do not share, so that the program which wrote a journal and the
one that reads it years later can be asked the same question.
"""

from __future__ import annotations

from typing import Any

from bot.model.store import Store

BUCKETS = ("funding", "basis", "fees", "slippage", "borrow", "collateral", "quote_fx", "adl", "transfers")


def summary(store: Store) -> dict[str, Any]:
    """Positions, costs, cash, attribution, trades seen, live orders, modes and pair states."""
    ledger = store.ledger
    return {
        "mode": store.mode.value,
        "pairs": {
            str(name): {
                "state": pair.state.value,
                "mode": pair.mode.value,
                "legs": {
                    leg.role.value: {
                        "instrument": str(leg.instrument),
                        "qty": f"{leg.position.qty:f}",
                        "cost": f"{leg.position.cost:f}",
                        "coin_cash": f"{leg.coin_cash:f}",
                    }
                    for leg in pair.legs
                },
            }
            for name, pair in sorted(store.pairs.items())
        },
        "positions": {
            str(name): [f"{position.qty:f}", f"{position.cost:f}"]
            for name, position in sorted(ledger.positions.items())
        },
        "cash": {
            str(account): {asset: f"{amount:f}" for asset, amount in sorted(wallet.items())}
            for account, wallet in sorted(ledger.cash.items())
        },
        "attribution": {
            name: f"{getattr(ledger.total, name):f}"
            for name in (
                "funding",
                "basis",
                "fees",
                "slippage",
                "borrow",
                "collateral",
                "quote_fx",
                "adl",
                "transfers",
            )
        },
        "trades": sorted(store.trades),
        "live_orders": {
            str(order.client_id): [order.state.value, f"{order.filled_qty:f}"]
            for order in store.orders.values()
            if order.state.is_live
        },
    }
