"""Protos to the JSON of the contract, nothing else."""
