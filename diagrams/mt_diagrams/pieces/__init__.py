"""What figures are put together from: cells, grids, cubes, stacks, captions and axes."""
