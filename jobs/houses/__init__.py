"""King County house sales: average price per decade built, live and recomputed."""
