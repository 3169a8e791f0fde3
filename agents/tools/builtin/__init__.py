"""Tools of the toolset `default`."""
