"""What a message says and whom it goes to: pure rules, no I/O, nothing of this project imported.

Templates are compiled once and rendered many times. Source of the rules: content.md.
"""
