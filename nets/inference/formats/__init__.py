"""Writers of folded networks, one for each format. Each has `write(folded, path)` and `load(path, end_points)`.

`load` runs the written file as its users would: it returns a function from images to a dict of arrays.
"""
