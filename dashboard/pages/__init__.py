"""One module per page, found by discovery: NAME, PATH, ORDER, layout(), and where a domain feeds it, SOURCE."""
