"""Pure comparisons: facts of the old image and of the new one, to findings. One module a check."""
