"""What models of today make of gradients; run by hand."""
