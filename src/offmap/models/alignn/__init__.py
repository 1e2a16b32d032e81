"""ALIGNN, a network of crystal graphs and the angles in them."""
