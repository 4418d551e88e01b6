"""Compares the blocking call through C, Java and Python with what one would use there without this library."""
