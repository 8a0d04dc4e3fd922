"""Where events come from: files, and later the live feed."""
