"""Which models there are, changed by callers: a model is fetched (`models.pull`) or deleted (`models.delete`).

    settings    PullSettings: registries, how many at once
    sources     from where a model may come
    choosing    which engine fetches it, or loses it
    pulls       how many are fetched at once, and which
    deleting    has an engine delete one, unless somebody needs it
    looking     waits until the engines' listings say so
    desk        StockDesk: one request, from its permit to its answer

What is said to callers is in edge/dialects (stock.py and the dialects' own).
"""
