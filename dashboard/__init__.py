"""The page: what the lake serves, drawn live, without a JVM."""
