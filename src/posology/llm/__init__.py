"""Chat models: clients, the engine that drives them, the ledger of every paid call, and what it all costs."""
