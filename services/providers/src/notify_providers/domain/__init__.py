"""Rules of handing messages over: no I/O, no frameworks."""
