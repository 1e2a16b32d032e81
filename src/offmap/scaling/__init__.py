"""Does more data help? Error curves, the laws behind them, and what they foretell."""
