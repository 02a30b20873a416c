"""`lake audit`: the topic read once more by other code, and the tables compared with it."""
