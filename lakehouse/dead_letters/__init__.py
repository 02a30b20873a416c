"""Dead letters: listing, showing, and sending again."""
