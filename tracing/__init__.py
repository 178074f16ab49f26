"""OpenTelemetry: what of a request, a job and a delivery is in a trace, and what may leave this process of it.

Only composition roots import this package, and they load OpenTelemetry only where traces are exported. Everything else
has Protocols of its own, or knows nothing of traces: `tracing.proxies` goes around it.
"""
