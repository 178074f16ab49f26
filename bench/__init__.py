"""Measures the gateway (`python -m bench`) and breaks it on purpose (`python -m bench.chaos`). Loopback only."""
