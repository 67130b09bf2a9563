"""A feed under load for as long as one likes: its memory, and whether anybody misses anything."""
