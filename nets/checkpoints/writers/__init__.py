"""One thin writer for each kind of file of weights. Each writes where it is told; `convert` renames what is whole."""
