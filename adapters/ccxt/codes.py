"""What a venue's own code means for an order that was being sent, where ccxt's class of it says otherwise.

ccxt sorts codes by what a caller should mend, not by what became of the request: a timeout of the venue can
be a `BadRequest`, a name that lives already an `InvalidOrder`, and a plain refusal an `ExchangeError`.  So a
code is looked up here first.  What must stay true: a code that leaves the order's fate open is in
`UNCERTAIN`, and a code is in `REFUSED` only where the venue's words say that nothing was done.

A test walks every row of ccxt's ``exceptions`` for each exchange that may trade, so that a new ccxt brings no
code that nobody has read.  Source: the venues' texts, as ccxt 4.5.90 quotes them (2026-11-20).
"""

from __future__ import annotations

from collections.abc import Mapping

_BINANCE = ("binance", "binanceusdm", "binancecoinm", "binanceus")

# The fate of the order is open: the venue timed out, failed inside, or has an order of that name already.
UNCERTAIN: Mapping[str, frozenset[str]] = {
    **{
        name: frozenset({"-1000", "-1001", "-1006", "-1007", "-4078", "-4116"})
        for name in _BINANCE
    },
    "aster": frozenset({"-1000", "-1001", "-1006", "-1007", "-1010", "-1016", "-4083", "-4116"}),
    "bitget": frozenset(
        {
            "1", "500", "01001", "20003", "30008", "30009", "30019", "30030", "30037", "32012", "32047",
            "40010", "40015", "40400", "40604", "40725", "40786", "45001", "50008",
            "failure to get a peer from the ring-balancer", "gateway internal error", "system exception",
        }
    ),
    "coinsph": frozenset({"-1000", "-1001", "-1006", "-1007", "-1030", "-1146", "-1147", "403"}),
    "kucoin": frozenset(
        {"126033", "126038", "126039", "126044", "135005", "135018", "408000", "500", "503", "500000"}
    ),
    "okx": frozenset(
        {
            "2", "50004", "50005", "50013", "50026", "50062", "51011", "51016", "63999", "60015", "60016",
            "64008", "4004", "4005", "4006",
        }
    ),
    "paradex": frozenset({"DUPLICATED_CLIENT_ID", "INTERNAL_ERROR", "SERVICE_UNAVAILABLE", "-32603"}),
    "phemex": frozenset({"10500", "11107", "19999", "11069"}),
    "woofipro": frozenset({"-1000", "-1007", "-1011", "-1012"}),
}  # fmt: skip

# Nothing was done: ccxt has no class for it but `ExchangeError`, and the venue's words are plain.
REFUSED: Mapping[str, frozenset[str]] = {
    "bitget": frozenset(
        {
            "30016", "30017", "30018", "30034", "30035", "32010", "32011", "32013", "32014", "32015", "32016",
            "32017", "32018", "32019", "32020", "32021", "32022", "32023", "32024", "32025", "32026", "32040",
            "32044", "32045", "32052", "32054", "32067", "32068", "32069", "32070", "32071", "32072", "32073",
            "32074", "32075", "32077", "32083", "33016", "33018", "33020", "33023", "33034", "33036", "33045",
            "33061", "33062", "33063", "33065", "34036", "35001", "35002", "35003", "35004", "35022", "35024",
            "35026", "35032", "35037", "35039", "35048", "35053", "35057", "36005", "36204", "36214", "40013",
            "40202", "40300", "40401", "40408", "40409", "40710", "50010", "invalid size, valid range",
        }
    ),
    "kucoin": frozenset(
        {
            "126000", "126002", "126004", "126006", "126007", "126009", "126011", "126015", "126037",
            "126041", "126042", "130310",
        }
    ),
    "okx": frozenset(
        {
            "50010", "50012", "50015", "50016", "50017", "50018", "50019", "50020", "50021", "50022", "50023",
            "50025", "50028", "50100", "50108", "50109", "51017", "51018", "51019", "51023", "51025", "51500",
            "51735", "54000", "54001", "54072", "54074",
        }
    ),
    "phemex": frozenset(
        {"11006", "11007", "11008", "11009", "11020", "11023", "11024", "11026", "11029", "11030"}
    ),
}  # fmt: skip

THROTTLED: Mapping[str, frozenset[str]] = {"okx": frozenset({"50061"})}

# A 4xx with a code of theirs is, by their documents, a request that was not carried out.
VOUCHING = frozenset(_BINANCE)
