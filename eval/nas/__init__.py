"""Architecture search on a space of cells, with forecasts in the loop."""
