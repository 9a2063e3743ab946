"""The lists of the screen, one for each tab: the rows that are shown, out of all there are."""
