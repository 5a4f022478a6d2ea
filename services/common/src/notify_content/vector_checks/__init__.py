"""One module for each kind of vector file, named after the kind.

Each has `INPUT_FIELDS`, the input fields every case of the kind has and by which a file under another name is
recognised, and `actual(case_input)`, what this package answers, in the shape of the file's `expected`.
"""
