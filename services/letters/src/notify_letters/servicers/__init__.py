"""gRPC servicers: proto to use case and back."""
