"""One module per page: NAME, PATH, ORDER, layout(). A folder that declares SECTION is a domain's. See discovery.py."""
