"""gRPC services of this context: protos to values and back."""
