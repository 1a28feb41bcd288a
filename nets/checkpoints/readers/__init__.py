"""One thin reader for each kind of file that holds weights; `nets.checkpoints.formats` chooses among them."""
