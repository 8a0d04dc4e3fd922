"""The live side: what the feeds bring, filtered, published, with its gaps and the strike window."""
