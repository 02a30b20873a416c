"""Events: a typed class says what an event is; from it come decoder, columns, encoder, JSON Schema and reasons."""
