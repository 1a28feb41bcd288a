"""Writers of folded networks, one module for each format.

Each has `write(folded, path, preset)`, which returns a dict of what users of the result need to know, and
`load(path, folded)`, a context manager: a function from images to a dict of arrays, which runs the written file as its
users will.
"""
