"""Files of sales in any published form -> sales in the types of the history."""
