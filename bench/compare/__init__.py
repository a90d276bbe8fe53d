"""`bench compare`: runs of one suite beside each other, with what can be said of their differences."""
