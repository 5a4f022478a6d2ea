"""Rules about notifications: pure functions of plain values."""
