"""Dead letters: looked up, shown, and sent again."""
