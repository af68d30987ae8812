"""Three problems: what ``E_x[g(W x + b)]`` is, and which block is the noise."""
