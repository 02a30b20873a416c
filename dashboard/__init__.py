"""The page: what the lake serves, drawn live, without a JVM."""

import os

# Arrow's own allocator keeps what it is given back: after half a day of reading tables, 150 MB that nobody uses.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
