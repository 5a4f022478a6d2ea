"""What operators see and do of queues: OpsService, the same in every context that has some."""
