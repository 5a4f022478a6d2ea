"""Rules of service management: pure, no I/O."""
