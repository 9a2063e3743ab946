"""The lists of the screen, one for each tab: each returns the visible rows and the number of all rows."""
