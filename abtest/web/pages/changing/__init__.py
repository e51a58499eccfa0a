"""Pages on which people make experiments, groups, holdouts and test devices, and change them."""
