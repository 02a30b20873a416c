"""What needs nothing of ours but settings and errors: files, locks, run state, processes, kill points."""
