"""What a domain declares and a schema.py may import: domain, tables, topics; and how domains are found."""
