"""Measurements on recurrences of today: matrix states, loops, unrolls, influence."""
