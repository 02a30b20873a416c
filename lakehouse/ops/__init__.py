"""Operating the platform: `lake up` and its supervisor, status, the nightly run, rebuilds."""
