"""The page: what the lake serves, drawn live, without a JVM."""

import os

# Arrow's own allocator keeps what it is given back: with twenty tabs 147 MB soon, of which none was in use.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
