"""What makes the site of the pages in ``docs/``: generated reference, notebooks, formulas."""
