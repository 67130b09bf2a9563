"""Parts of the compiled machine, inlined into it: `.pxd` files only."""
