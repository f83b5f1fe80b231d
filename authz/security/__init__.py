"""PIN, card verification values, MACs, cryptograms and keys, behind one interface."""
