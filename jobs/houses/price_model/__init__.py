"""The price model: features, pipeline, evaluation, export, and the pricer that needs no JVM."""
