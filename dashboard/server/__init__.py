"""The web server around the pages: who gets in, who gets a thread, answers to polls."""
