"""Files of sales in any public form -> sales in the types of the history."""
