"""How many processes, how much database and how many connections a day's messages need (docs/scaling.md)."""
