"""Several processes that train one network together: who they are, how they sum, and what starts them."""
