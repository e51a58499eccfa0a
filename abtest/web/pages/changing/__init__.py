"""Pages on which people make experiments and change them."""
