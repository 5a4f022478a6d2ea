"""Service management: who may send what, in whose name."""
