"""The vendors' records → canonical columns or events: pure, one function a vendor."""
