"""Heat between companies: how much flows, how much of it is of use, what is lost on the way, what could be recovered.

One module per idea: ``meter`` (flow times temperature difference), ``supply`` (supplied, usable, used, dumped),
``exchanger`` and ``pipe`` (what apparatus does to it), ``heat_pump``, ``mismatch`` (supply and demand over time),
``targets`` and ``matching`` (what could be recovered, and between whom). Heat flows are W, temperatures K, lengths m.
"""
