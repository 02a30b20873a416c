"""The domain `production`: units and defects at the collection points of a factory's line."""
