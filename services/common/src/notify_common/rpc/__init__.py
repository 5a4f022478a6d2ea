"""gRPC servers, channels and what every call has: identity, deadline, errors, logs, metrics (design.md
§2.6-2.8).
"""
