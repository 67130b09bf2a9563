"""What a Python user could install instead of matchcore, measured on one flow in one run."""
